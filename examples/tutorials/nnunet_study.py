# %% [markdown]
# # A study with nnU-Net
#
# The same comparison with nnU-Net v2 as the trainer: its planning, preprocessing, augmentation and network, and any
# loss of the atlas. It needs an environment with nnU-Net, `pip install ".[all,nnunet]"`, and for real data a GPU.

# %%
from importlib.util import find_spec
from pathlib import Path

from shell import sh

from lossodyssey.data import write_phantom

CASES = 8

# %% [markdown]
# ## The plan
#
# `organs` stands for a data set of yours, in the layout of nnU-Net or of the Decathlon. `small` is a small network
# for processors: without it nnU-Net plans its own. `epochs` and `iterations` are a fraction of nnU-Net's 1000 and 250
# here.

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
# This trains both losses on one plan of nnU-Net, and leaves the same folders, table and page as the light engine. The
# network of a run is nnU-Net's own: its commands predict with it, in an environment that need not hold this package.

# %%
if find_spec("nnunetv2"):
    sh("lossodyssey bench plan.yaml -o study")
else:
    print("nnU-Net is not installed here: the plan is written, and was not run")

# %% [markdown]
# ## With nnU-Net's own commands
#
# Every loss of the atlas is a trainer, too: `eval "$(lossodyssey nnunet env)"`, then `nnUNetv2_train 4 3d_fullres 0
# -tr nnUNetTrainerLO_DiceTopK`. The program `examples/nnunet.sh` does it from raw data to scores.
