# %% [markdown]
# # A loss of your own against those of the atlas
#
# An idea in ten lines, tested, and compared on two data sets.

# %%
from shell import sh, write

from lossodyssey.data import write_phantom, write_vessel_phantom
from lossodyssey.ranking import rank
from lossodyssey.table import read_rows

STEPS = 60
CASES = 16

# %% [markdown]
# ## The loss
#
# Half Dice weighs the prediction's size by a share: false alarms cost less than missed voxels. [Losses of your
# own](../own_losses.md) shows the other bases.

# %%
write(
    "mine.py",
    '''
import lossodyssey as lo


class HalfDice(lo.OverlapLoss, range=(0, 1)):
    """Half Dice: the overlap with the truth, where what is predicted counts by its `share`."""

    share: lo.Fraction = 0.5

    def formula(self, s, g, tp):
        return 1 - ((1 + self.share) * tp + self.smooth) / (self.share * s + g + self.smooth)
''',
)
sh('lossodyssey check-loss "HalfDice()" --import mine.py')

# %% [markdown]
# ## Two data sets
#
# Organs and vessels, drawn from a seed; put folders of your own in their place.

# %%
write_phantom("organs", cases=CASES)
write_vessel_phantom("vessels", cases=CASES)

# %% [markdown]
# ## The plan
#
# Two seeds at least: with one, nothing tells a loss from the luck of its initial weights. So few steps show the way,
# not the answer. To compare with the whole atlas, list its names, which `lossodyssey list` prints.

# %%
write(
    "plan.yaml",
    f"""
datasets: [organs, vessels]
losses: ["HalfDice()", "DiceCE()", "Tversky()"]
seeds: 2
held_out: 6
steps: {STEPS}
""",
)
sh("lossodyssey bench plan.yaml --import mine.py -o study")

# %% [markdown]
# ## How sure is it?
#
# The report says it in words; the same in numbers, loss by loss, for each data set and metric:

# %%
ranking = rank(read_rows("study/cases.csv"))
for standing in ranking.standings:
    order = [ranking.losses[i] for i in standing.order]
    print(f"{standing.cell.task}, {standing.cell.metric}: {', '.join(order)}")
    print(f"  cannot be excluded as the best: {sum(standing.best_set)} of {len(order)}")
