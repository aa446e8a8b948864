"""A loss of your own, from its formula to a report; docs/own_losses.md says more.

lossodyssey train phantom --import examples/own_loss.py --loss "HalfDice()" --loss "Dice()"
"""

import torch

import lossodyssey as lo


class HalfDice(lo.OverlapLoss, range=(0, 1)):
    r"""Half Dice: the overlap with the truth, where what is predicted counts by its share.

    $1 - \frac{(1 + h) TP}{h S + G}$, with the share h; h = 1 is `Dice`.
    """

    share: lo.Fraction = 0.5

    def formula(self, s, g, tp):
        return 1 - ((1 + self.share) * tp + self.smooth) / (self.share * s + g + self.smooth)


def main():
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 16, 16, requires_grad=True)
    labels = torch.randint(3, (2, 16, 16))

    loss = lo.parse("HalfDice(share=0.25) + 0.5 * CrossEntropy()")  # its name works in every text from now on
    loss(logits, labels).backward()
    return loss, logits.grad


if __name__ == "__main__":
    print(*main())
