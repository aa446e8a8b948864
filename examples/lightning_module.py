"""Lightning: one curve per summand, and weights that move with the epochs.

Needs `pip install lossodyssey lightning`.
"""

import torch
from lightning.pytorch import LightningModule, Trainer
from torch.utils.data import DataLoader, TensorDataset

import lossodyssey as lo
from lossodyssey.integrations.lightning import AdvanceLoss, log_summands


class Segmenter(LightningModule):
    def __init__(self, loss):
        super().__init__()
        self.loss = lo.parse(loss)
        self.network = torch.nn.Sequential(
            torch.nn.Conv2d(1, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(8, 2, 3, padding=1)
        )

    def training_step(self, batch, index):
        images, labels = batch
        # The sum to train with; each summand is logged under its own text.
        return log_summands(self, self.loss, self.network(images), labels)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), 1e-2)


def data():
    """Draw noisy squares."""
    labels = torch.zeros(8, 32, 32, dtype=torch.long)
    labels[:, 8:20, 10:24] = 1
    images = labels[:, None] + 0.3 * torch.randn(8, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    return DataLoader(TensorDataset(images, labels), batch_size=4)


def main(epochs=5, **options):
    torch.manual_seed(0)
    # Dice falls from 1 to 0.5 and Focal rises from 0.5 to 1 over the epochs; AdvanceLoss moves them.
    module = Segmenter("Ramp(1, 0.5) * Dice() + Ramp(0.5, 1) * Focal()")
    trainer = Trainer(max_epochs=epochs, accelerator="cpu", callbacks=[AdvanceLoss()], log_every_n_steps=1, **options)
    trainer.fit(module, data())
    return trainer.callback_metrics


if __name__ == "__main__":
    print(main(logger=False, enable_checkpointing=False))
