# %% [markdown]
# # From a folder of pictures to a report
#
# You have pictures, masks drawn on them, and the question which loss to train with. Three commands answer it.

# %%
from pathlib import Path

import numpy as np
from PIL import Image
from shell import sh

STEPS = 100

# %% [markdown]
# ## The pictures
#
# Stand-ins for yours: sixteen patients, two grey pictures each, with bright round cells, and masks of 0 and 255.

# %%
random = np.random.default_rng(0)
rows, columns = np.mgrid[:64, :64]
for case in range(32):
    mask = np.zeros((64, 64), bool)
    for y, x, radius in random.uniform([8, 8, 3], [56, 56, 9], (4, 3)):
        mask |= (rows - y) ** 2 + (columns - x) ** 2 < radius**2
    grey = 90 + 40 * mask + random.normal(0, 30, mask.shape)
    for folder, values in (("images", grey.clip(0, 255)), ("masks", 255 * mask)):
        path = Path(f"pictures/{folder}/patient{case // 2}_{case % 2}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values.astype(np.uint8)).save(path)

# %% [markdown]
# ## What is understood
#
# The command says how it pairs images with masks and what their values mean, and draws some cases with the outlines
# of their masks. `--group` tells that the pictures of a patient belong together: no split parts them.

# %%
sh('lossodyssey data adopt pictures --classes cell --group "^(patient[0-9]+)" -o cells --picture look.png')

# %% [markdown]
# ![Pictures with the outlines of their masks](look.png)
#
# Then every case is read once, and whatever could spoil a comparison is told.

# %%
sh("lossodyssey data check cells")

# %% [markdown]
# ## The comparison
#
# The same network is trained with each loss and two seeds, on the same batches. Cases that no network saw are scored.
# So few steps show the way; a real answer needs as many as it takes until the curves are flat.

# %%
sh(f'lossodyssey train cells --loss "DiceCE()" --loss "Focal()" --seeds 2 --held-out 12 --steps {STEPS} -o study')

# %% [markdown]
# `study/report.html` is the page to read and to send, `study/cases.csv` the table of all scores. The same command
# goes on where it was stopped, and with another `--loss` it trains that one alone.
