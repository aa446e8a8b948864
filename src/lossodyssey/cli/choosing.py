"""Which losses a command trains: texts, those of a file, those of a category, or all that serve the data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lossodyssey.data import Dataset

ALL, RELEASED = "all", "as_released"
PARTNER = "DiceCE()"
"""The partner of a loss that is not to be trained alone."""
SIDE = 32

Losses = Annotated[
    list[str] | None,
    typer.Option(
        "--loss",
        help='A loss such as "Dice() + CrossEntropy()", or NAME="..." to name it; repeat to compare; all: every loss.',
        show_default=False,
    ),
]
Category = Annotated[
    str, typer.Option(help="Every loss of this category of `lossodyssey list`, with its defaults.", show_default=False)
]
LossFile = Annotated[
    Path | None,
    typer.Option("--losses", help="A file with a loss, or NAME=..., in a line; # begins a remark.", show_default=False),
]


def chosen(dataset: Callable[[], Dataset], losses: Sequence[str] | None, category: str, file: Path | None) -> list[str]:
    """Return the texts of the losses to train; print which were left out of a category, or of all, and why.

    The data set is asked for only where a category, or all, must fit it.

    Raises:
        ValueError: none was named, the file has none, or there is no such category.
    """
    named = [text for text in losses or () if text.strip() != ALL]
    texts = [*named, *(read_file(file) if file else ())]
    if category or len(named) < len(losses or ()):
        texts += of_atlas(dataset(), category)
    if not texts:
        raise ValueError('--loss: none is named; give --loss "Dice()", --loss all, --category region, or --losses FILE')
    return texts


def read_file(file: Path) -> list[str]:
    """Return the losses of a file, one a line.

    Raises:
        ValueError: it has none.
    """
    lines = [line.partition("#")[0].strip() for line in file.read_text(encoding="utf-8").splitlines()]
    if not any(lines):
        raise ValueError(f"--losses: {file} has no loss; expected a line such as Dice() or mine=Dice() + Focal()")
    return [line for line in lines if line]


def of_atlas(dataset: Dataset, category: str = "") -> list[str]:
    """Return every loss of the atlas, or of a category, that can be trained on a data set with its defaults.

    A loss that is not to be trained alone is added to a partner. Print what is left out, and why.

    Raises:
        ValueError: there is no such category.
    """
    from lossodyssey.core.atlas import atlas
    from lossodyssey.core.text import meaning, parse

    known = sorted({card.category for card in atlas()})
    if category and category not in known:
        raise ValueError(f"--category is {category!r}; expected one of {', '.join(known)}")
    found: dict[str, str] = {}
    for card in atlas():
        if card.category != (category or card.category) or (not category and card.category == RELEASED):
            continue
        text = f"{card.name}()" if card.alone else f"{PARTNER} + {card.name}()"
        if reason := unfit(text, dataset):
            typer.echo(f"{card.name} is left out: {reason}")
        elif (same := found.setdefault(repr(meaning(parse(text))), text)) != text:
            typer.echo(f"{card.name} is left out: it is the same as {same}")
    return [*found.values()]


def unfit(text: str, dataset: Dataset) -> str:
    """Return why a loss cannot be computed on an image like those of a data set, "" where it can."""
    import torch

    from lossodyssey.core.text import parse
    from lossodyssey.data.grids import is_volume

    outputs = len(dataset.targets) if dataset.regions else len(dataset.classes)
    volume = is_volume(dataset.cases[0].images[0])
    shape: tuple[int, ...] = (SIDE // 4, SIDE, SIDE) if volume else (SIDE, SIDE)
    labels = torch.arange(SIDE).div(SIDE / max(outputs, 2), rounding_mode="floor").long().expand(2, *shape)
    target = torch.stack([labels == number for number in range(outputs)], 1) if dataset.regions else labels
    logits = torch.zeros(2, outputs, *shape, requires_grad=True)
    image = torch.zeros(2, len(dataset.channels), *shape)
    loss = parse(text)
    fewest = max(leaf.fewest_classes for leaf in loss.leaves_of_terms())
    if outputs < fewest and not dataset.regions:
        return f"it needs {fewest} classes with the background, and there are {outputs}"
    try:
        link = "sigmoid" if dataset.regions else "softmax"
        loss(logits, target, link=link, image=image, annotated=torch.ones(2, outputs, dtype=torch.bool)).backward()
    except (ValueError, RuntimeError) as problem:
        return str(problem).splitlines()[0]
    return ""
