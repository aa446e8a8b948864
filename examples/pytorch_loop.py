"""A plain PyTorch loop. Needs `pip install lossodyssey`."""

import torch

import lossodyssey as lo


def data():
    """Draw noisy squares."""
    labels = torch.zeros(8, 32, 32, dtype=torch.long)
    labels[:, 8:20, 10:24] = 1
    images = labels[:, None] + 0.3 * torch.randn(8, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    return images, labels


def main(epochs=20):
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(1, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(8, 2, 3, padding=1)
    )
    criterion = lo.Criterion("Ramp(1, 0.5) * Dice() + Ramp(0.5, 1) * Focal()")
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)

    images, labels = data()
    curve = []
    for epoch in range(epochs):
        # Once per epoch, from 0 to 1: the weights of the two losses follow their ramps.
        lo.advance(criterion, epoch / (epochs - 1))
        summands = criterion.summands(network(images), labels)  # each by its text, to be logged; else criterion(...)
        loss = sum(summands.values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        curve.append(loss.item())
    return curve


if __name__ == "__main__":
    print(main())
