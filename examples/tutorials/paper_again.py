# %% [markdown]
# # Reading the paper again
#
# *Loss odyssey in medical image segmentation* (Ma et al. 2021) prints the means of 27 losses on four tasks. Its
# statements are set beside what the numbers say.

# %%
from shell import sh

from lossodyssey.ranking.paper import leave_one_task_out
from lossodyssey.ranking.published import means

# %% [markdown]
# ## The statements of the paper

# %%
sh("lossodyssey paper -o paper.html")

# %% [markdown]
# `paper.html` shows the means and the ranks with their figures.
#
# ## One statement by hand
#
# The published means are part of the package. Among the 20 losses of Table 2, which would be first if one of the four
# tasks had been left out?

# %%
table = means("table2")
print(len(table.losses), "losses,", len(table.columns), "columns of task and metric")
for task, (tau, ranks) in leave_one_task_out(table).items():
    print(f"without {task}: {min(ranks, key=ranks.get)} is first, Kendall's tau to the whole is {tau:.2f}")
