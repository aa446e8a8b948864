# %% [markdown]
# # A study with nnU-Net
#
# The same comparison with nnU-Net v2 as the trainer: its planning, preprocessing, augmentation and network, and any loss of
# the atlas. It needs an environment with nnU-Net, `pip install ".[all,nnunet]"`, and for real data a GPU.

# %%
from pathlib import Path

from shell import sh

from lossodyssey.data import write_phantom

CASES = 8

# %% [markdown]
# ## The plan
#
# `organs` stands for a data set of yours, in the layout of nnU-Net or of the Decathlon. `small` is a small network for
# processors: without it nnU-Net plans its own. `epochs` and `iterations` are a fraction of nnU-Net's 1000 and 250 here.

# %%
write_phantom("organs", cases=CASES)
Path("plan.yaml").write_text("""
datasets: [organs]
losses: [DiceCE(), DiceTopK()]
engine: nnunet
small: true
epochs: 2
iterations: 5
seeds: 1
held_out: 2
""")

# %% [markdown]
# ## Train, score, rank
#
# Where nnU-Net is installed, this trains both losses on one plan, and leaves the same folders, table and page as the light
# engine. Elsewhere the names are listed under which nnU-Net's own `nnUNetv2_train -tr` knows the
# losses.

# %%
from importlib.util import find_spec

if find_spec("nnunetv2"):
    sh("lossodyssey bench plan.yaml -o study")
else:
    sh("lossodyssey nnunet names")
