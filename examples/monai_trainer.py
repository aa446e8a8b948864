"""MONAI: a SupervisedTrainer with a loss whose distance maps are made in the loader's workers.

Needs `pip install lossodyssey[all] pytorch-ignite`.
"""

import torch
from monai.data import DataLoader, Dataset
from monai.engines import SupervisedTrainer
from monai.networks.nets import UNet
from monai.transforms import Compose, RandFlipd

import lossodyssey as lo
from lossodyssey.integrations.monai import AdvanceLoss, MonaiLoss, prepare_batch


def cases(count):
    """Yield noisy squares; a data set of your own comes from `LoadImaged`, whose spacing the loss then uses."""
    for seed in range(count):
        label = torch.zeros(1, 32, 32)
        label[:, 8 + seed : 20 + seed, 10:24] = 1
        image = label + 0.3 * torch.randn(1, 32, 32, generator=torch.Generator().manual_seed(seed))
        yield {"image": image, "label": label}


def main(epochs=5):
    torch.manual_seed(0)
    loss = MonaiLoss("Ramp(1, 0.1) * Dice() + Ramp(0, 0.1) * Boundary()")
    # Last in the transform: the maps must be made of the labels as the network sees them.
    transform = Compose([RandFlipd(["image", "label"], prob=0.5), lo.AddMaps(loss.criterion.loss, classes=2)])
    network = UNet(spatial_dims=2, in_channels=1, out_channels=2, channels=(8, 16), strides=(2,))

    SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=epochs,
        train_data_loader=DataLoader(Dataset(list(cases(8)), transform), batch_size=4),
        network=network,
        optimizer=torch.optim.Adam(network.parameters(), 1e-2),
        loss_function=loss,
        prepare_batch=prepare_batch,
        train_handlers=[AdvanceLoss(loss)],
    ).run()
    return network


if __name__ == "__main__":
    main()
