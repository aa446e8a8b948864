"""A contact sheet: several images side by side, each with the outlines of its labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from math import ceil, sqrt
from types import MappingProxyType

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lossodyssey.report.figures.pictures import SIDE, grey, outline
from lossodyssey.report.overlays import Overlay

COLOURS = ("#ffd166", "#56b4e9", "#d55e00", "#8fd694", "#cc79a7", "#f0e442", "#ffffff")
NAMED = 14  # classes of the legend


def contact_sheet(
    pictures: Sequence[Overlay], classes: Mapping[int, str], own: Mapping[int, str] = MappingProxyType({})
) -> Figure:
    """Draw images with the outline of every label in a colour of its own, and the names of the `classes` below.

    `own` are colours of labels that have one already.
    """
    columns = min(len(pictures), max(1, ceil(sqrt(len(pictures)))))
    rows = ceil(len(pictures) / columns)
    figure = Figure(figsize=(1.2 * SIDE * columns, 1.2 * SIDE * rows + 0.4), layout="constrained")
    # Colours come round again where there are more classes.
    colours = dict(zip(classes, cycle(COLOURS))) | dict(own)
    for place, picture in enumerate(pictures, 1):
        axes = figure.add_subplot(rows, columns, place)
        grey(axes, picture)
        axes.set_title(picture.title, fontsize=8, parse_math=False)
        for label in np.unique(picture.truth):
            if label in colours:
                outline(axes, picture.truth == label, colours[label])
    handles = [Line2D([], [], color=colours[label]) for label in list(classes)[:NAMED]]
    names = [f"{label} {name}" for label, name in list(classes.items())[:NAMED]]
    legend = figure.legend(handles, names, loc="outside lower center", ncols=4, fontsize=8, facecolor="#404040")
    for text in legend.get_texts():
        text.set(parse_math=False, color="white")
    return figure
