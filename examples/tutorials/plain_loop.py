# %% [markdown]
# # A plain loop with everything
#
# Class weights, an ignore label, deep supervision, mixed precision and logged parts, in PyTorch alone.

# %%
import torch

import lossodyssey as lo
from lossodyssey.metrics import MEASURES

STEPS = 60

# %% [markdown]
# ## Data
#
# Squares of two classes, one of them rare. The frame of every image was not annotated: its label is 255.

# %%
torch.manual_seed(0)
labels = torch.zeros(8, 32, 32, dtype=torch.long)
labels[:, 6:26, 6:20] = 1
labels[:, 10:14, 22:26] = 2
images = labels[:, None] + 0.4 * torch.randn(8, 1, 32, 32)
labels[:, :2], labels[:, -2:] = 255, 255

# %% [markdown]
# ## A network with two outputs
#
# The finest scale first, then one of half the size.


# %%
class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fine = torch.nn.Conv2d(1, 16, 3, padding=1)
        self.coarse = torch.nn.Conv2d(16, 16, 3, padding=1, stride=2)
        self.heads = torch.nn.ModuleList(torch.nn.Conv2d(channels, 3, 1) for channels in (32, 16))

    def forward(self, x):
        fine = self.fine(x).relu()
        coarse = self.coarse(fine).relu()
        raised = torch.nn.functional.interpolate(coarse, scale_factor=2)
        return [self.heads[0](torch.cat([fine, raised], 1)), self.heads[1](coarse)]


# %% [markdown]
# ## The criterion
#
# Class weights are made from the training labels, and the ignore label is said once. The criterion weighs the scales
# 1 to 1/2 and brings target and ignore label to the coarser one.

# %%
counts = lo.count_classes(labels, 3, ignore=255)
loss = lo.with_class_weights(lo.Dice() + lo.CrossEntropy(class_weights="inverse_frequency"), counts)
criterion = lo.Criterion(loss, ignore=255)
print(criterion)

# %% [markdown]
# ## The loop
#
# Under autocast the network computes in half precision; losses compute in float32 by themselves. On CUDA with
# float16, scale the gradient with `torch.amp.GradScaler` as usual.
#
# `summands` returns each part by its text, weighted and over all scales; their sum is the loss.

# %%
network = Network()
optimizer = torch.optim.Adam(network.parameters(), 1e-2)
for step in range(STEPS):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = network(images)
    parts = criterion.summands(outputs, labels)
    optimizer.zero_grad()
    sum(parts.values()).backward()
    optimizer.step()
    if step % 20 == 0 or step == STEPS - 1:
        print(step, *(f"{text.split('(')[0]} {value:.3f}" for text, value in parts.items()))

# %% [markdown]
# ## What came of it
#
# On the training images, which the network knows by now. A metric is NaN, never 0, where it is undefined.

# %%
prediction = outputs[0].argmax(1)
for label, name in ((1, "large"), (2, "rare")):
    print(name, "DSC", round(MEASURES["DSC"](prediction[0] == label, labels[0] == label), 3))
