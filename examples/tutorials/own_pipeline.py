# %% [markdown]
# # Another loss in a pipeline of your own
#
# You train with MONAI, and ask whether another loss would serve you better. Two lines of your program change; what it
# segments before and after is scored and compared.

# %%
from pathlib import Path

from shell import edit, sh

from lossodyssey.data import write_phantom

CASES = 8

# %% [markdown]
# ## What you have
#
# Scans with labels, others to test on, and a program that trains on the first and segments the others: stand-ins here.

# %%
write_phantom("scans", cases=CASES)
write_phantom("unseen", cases=CASES, seed=1)
Path("pipeline.py").write_text("""
import sys
from pathlib import Path

import torch
from monai.data import DataLoader, Dataset
from monai.losses import DiceCELoss
from monai.networks.nets import UNet
from monai.transforms import Compose, EnsureChannelFirstd, LoadImaged, RandFlipd, SaveImage, ScaleIntensityRanged

STEPS = 120
keys = ["image", "label"]
load = [
    LoadImaged(keys, image_only=True),
    EnsureChannelFirstd(keys),
    ScaleIntensityRanged("image", -150, 250, 0, 1, clip=True),
]


def batches(folder, transforms, **options):
    images, labels = (sorted(Path(folder, name).glob("*.nii.gz")) for name in ("imagesTr", "labelsTr"))
    files = [dict(zip(keys, pair)) for pair in zip(images, labels)]
    return DataLoader(Dataset(files, Compose(transforms)), **options)


torch.manual_seed(0)
network = UNet(3, in_channels=1, out_channels=5, channels=(8, 16, 32), strides=(2, 2), norm="batch")
optimizer = torch.optim.Adam(network.parameters(), 1e-2)
criterion = DiceCELoss(to_onehot_y=True, softmax=True)

step = 0
while step < STEPS:
    for batch in batches("scans", [*load, RandFlipd(keys, prob=0.5, spatial_axis=0)], batch_size=2, shuffle=True):
        loss = criterion(network(batch["image"]), batch["label"])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step += 1

network.eval()
save = SaveImage(sys.argv[1], output_postfix="", separate_folder=False, print_log=False)
for batch in batches("unseen", load, batch_size=1):
    with torch.no_grad():
        labels = network(batch["image"]).argmax(1, keepdim=True)
    save(labels[0], meta_data=batch["image"][0].meta)
print(f"{step} steps, loss {loss:.3f}")
""")
sh("python pipeline.py DiceCELoss")

# %% [markdown]
# ## What changes
#
# The loss, and where it comes from. Any loss of the atlas stands there by its text, `"DiceCE() + Boundary()"` as well;
# the spacing comes from MONAI's tensors. [Where you already work](../integrations.md) tells of schedules, regions and
# ignored voxels.

# %%
edit(
    "pipeline.py",
    {
        "from monai.losses import DiceCELoss": "from lossodyssey.integrations.monai import MonaiLoss",
        "DiceCELoss(to_onehot_y=True, softmax=True)": 'MonaiLoss("DiceTopK()")',
    },
)

# %%
sh("python pipeline.py DiceTopK")

# %% [markdown]
# ## Is it better?
#
# Every case is scored alike, whatever segmented it. A table is named after the folder of its predictions.

# %%
sh("lossodyssey evaluate DiceCELoss unseen/labelsTr -o before.csv")

# %%
sh("lossodyssey evaluate DiceTopK unseen/labelsTr -o after.csv")

# %%
sh("lossodyssey report before.csv after.csv -o report.html")

# %% [markdown]
# `report.html` says how large the difference is, and how sure. One training each tells of these two networks, not of
# the losses: for that, train from several seeds and say which by `lossodyssey evaluate --seed`.
#
# With nnU-Net no line changes: every loss is a trainer of its own. [A study with nnU-Net](nnunet_study.md) shows it.
