"""Draw the pictures of `boundary_losses.md` and write its table: every boundary loss of the atlas on a few discs.

    python docs/draw_boundary.py

Writes `docs/boundary/*` and the rows between the first two marks in `docs/boundary_losses.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from torch import Tensor

import lossodyssey as lo
from lossodyssey.guide.look import sight

HERE = Path(__file__).parent
PREDICTION, TRUTH, QUIET = "#c2410c", "#1d4ed8", "#d4d4d8"
STYLE = {"svg.hashsalt": "lossodyssey", "svg.fonttype": "none", "font.size": 8}
START, END = "<!-- losses: start -->", "<!-- losses: end -->"
SIZE, RADIUS, COLUMNS = 48, 9.0, 5
MIDDLE, SECOND = (24.0, 18.0), (24.0, 38.0)


@dataclass(frozen=True)
class Scene:
    """A row of predictions that one number makes, for one truth; `shown` is the one whose pull is drawn."""

    name: str
    axis: str
    numbers: Sequence[float]
    shown: float
    predict: Callable[[float], Tensor]
    truth: Tensor


def main() -> None:
    """Draw and compute everything."""
    for scene in scenes():
        draw_values(scene)
        draw_pulls(scene)
    page = HERE / "boundary_losses.md"
    before, rest = page.read_text(encoding="utf-8").split(START)
    after = rest.split(END)[1]
    page.write_text(f"{before}{START}\n{table()}\n{END}{after}", encoding="utf-8")


def losses() -> list[str]:
    """The boundary losses of the atlas, by name."""
    return sorted(card.name for card in lo.atlas() if card.category == "boundary" and not card.preset)


def depth(radius: float, middle: tuple[float, float] = MIDDLE) -> Tensor:
    """How far each pixel lies inside a disc."""
    rows, columns = torch.meshgrid(*[torch.arange(SIZE, dtype=torch.float64)] * 2, indexing="ij")
    return radius - ((rows - middle[0]) ** 2 + (columns - middle[1]) ** 2).sqrt()


def logit(inside: Tensor) -> Tensor:
    """Logits of a prediction that is sure but for a seam of a few pixels."""
    return (1.5 * inside).clamp(-6, 6)


def scenes() -> list[Scene]:
    """A disc that moves, one that shrinks and grows, and a second object that is found or not."""
    truth, two = depth(RADIUS), torch.maximum(depth(RADIUS), depth(4.0, SECOND))

    def moved(shift: float) -> Tensor:
        return logit(depth(RADIUS, (MIDDLE[0], MIDDLE[1] + shift)))

    def sized(radius: float) -> Tensor:
        return logit(depth(radius))

    def found(probability: float) -> Tensor:
        second = np.log(probability / (1 - probability))
        return torch.where(depth(6.0, SECOND) > 0, logit(depth(4.0, SECOND)).clamp(max=float(second)), logit(truth))

    return [
        Scene("moved", "pixels to the right", np.arange(0.0, 17.0), 5.0, moved, truth > 0),
        Scene("shrunk", "radius, 9 is true", np.arange(2.0, 17.0), 6.0, sized, truth > 0),
        Scene("grown", "radius, 9 is true", np.arange(2.0, 17.0), 12.0, sized, truth > 0),
        Scene("missed", "probability of the second object", np.linspace(0.02, 0.98, 13), 0.02, found, two > 0),
    ]


def pulled(name: str, foreground: Tensor, truth: Tensor) -> tuple[float, np.ndarray]:
    """The value of a loss, and where it pulls the logit of the foreground up or down."""
    scene = sight.Scene(name, "", truth.long(), torch.stack([-foreground / 2, foreground / 2]))
    seen = sight.pulled(lo.parse(f"{name}()"), scene)
    return seen.value, seen.pull


def panels() -> tuple[Any, list[Axes]]:
    rows = -(-len(losses()) // COLUMNS)
    figure, axes = plt.subplots(rows, COLUMNS, figsize=(8.4, 1.75 * rows), layout="constrained", squeeze=False)
    for spare in axes.flat[len(losses()) :]:
        spare.remove()
    return figure, list(axes.flat[: len(losses())])


@mpl.rc_context(STYLE)
def draw_values(scene: Scene) -> None:
    """The value of every loss along the predictions of a scene."""
    if scene.name == "grown":  # the same predictions as those of the scene before
        return
    figure, axes = panels()
    for name, axis in zip(losses(), axes, strict=True):
        axis.plot(
            scene.numbers, [pulled(name, scene.predict(x), scene.truth)[0] for x in scene.numbers], color=PREDICTION
        )
        axis.set_title(name)
        axis.spines[["top", "right"]].set_visible(False)
        axis.locator_params(nbins=2)
        axis.tick_params(length=0)
        if scene.name == "shrunk":
            axis.axvline(RADIUS, color=QUIET, zorder=0)
    figure.supxlabel(scene.axis, fontsize=9)
    figure.savefig(HERE / "boundary" / f"values_{scene.name}.svg", metadata={"Date": None})
    plt.close(figure)


@mpl.rc_context(STYLE)
def draw_pulls(scene: Scene) -> None:
    """Where every loss pulls in the shown prediction: blue up, red down, each on a scale of its own."""
    figure, axes = panels()
    foreground = scene.predict(scene.shown)
    for name, axis in zip(losses(), axes, strict=True):
        pull = pulled(name, foreground, scene.truth)[1]
        most = float(np.abs(pull).max()) or 1.0
        axis.imshow(pull, cmap="RdBu", vmin=-most, vmax=most, interpolation="nearest")
        axis.contour(scene.truth, [0.5], colors=TRUTH, linewidths=0.8)
        axis.contour(foreground, [0.0], colors=PREDICTION, linewidths=0.8, linestyles="--")
        axis.set(xticks=[], yticks=[])
        axis.set_title(f"{name}" + ("" if np.abs(pull).max() else " (no pull)"), fontsize=7)
    figure.savefig(HERE / "boundary" / f"pull_{scene.name}.png", dpi=72, metadata={"Software": None})
    plt.close(figure)


def table() -> str:
    """The rows of the table: what a loss needs, and what it costs where the prediction is right, moved, and so on."""
    moved, shrunk, grown, missed = scenes()
    points = [(moved, 0.0), (moved, moved.shown), (shrunk, shrunk.shown), (grown, grown.shown), (missed, missed.shown)]
    lines = [
        "| loss | what it is | beside another loss | needs | right | moved | small | large | second missed |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name in losses():
        card, loss = lo.card(name), lo.parse(f"{name}()")
        values = [f"{pulled(name, scene.predict(x), scene.truth)[0]:.3g}" for scene, x in points]
        needs = [wanted.name for wanted in loss.auxiliaries().values()] + ["image"] * loss.needs_image
        what = card.doc.split(":")[0].split("\n")[0].strip()
        lines.append(
            f"| [{name}](losses/{name}.md) | {what} | {'no need' if card.alone else 'yes'} | {', '.join(needs)} | "
            f"{' | '.join(values)} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
