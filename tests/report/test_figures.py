from __future__ import annotations

import numpy as np
import pytest

from lossodyssey.report.figures import curves, differences, distributions, matrices, ranks, style
from lossodyssey.report.runs import Curve


@pytest.mark.parametrize("values", [np.full((2, 5), 0.5), np.array([[0.1], [0.2]]), np.array([[0.0, 1.0], [1.0, 1.0]])])
def test_distributions_without_spread_can_be_drawn(values: np.ndarray) -> None:
    style.save(distributions.raincloud(values, ["a", "b"], "DSC", ["a"]), "figure")


@pytest.mark.parametrize("count", [2, 6, 7, 20])
def test_every_loss_has_a_curve_with_its_name(count: int) -> None:
    losses = [f"L{i} Dice() + {i} * Foc…" for i in range(count)]
    curve = Curve((0, 10, 20), (2.0, 1.0, 0.5), (0.1, 0.1, 0.1))
    figure = curves.training([(loss, curve) for loss in losses for _ in range(3)])
    style.save(figure, "figure")
    legends = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    assert (legends or [title for axes in figure.axes if (title := axes.get_title(loc="left"))]) == losses
    colours = {line.get_color() for line in figure.axes[0].lines}
    assert len(colours) == (count if count <= 6 else 1)


def test_a_curve_that_begins_with_nan_is_drawn_from_its_first_number() -> None:
    figure = curves.training(
        [("a", Curve((0, 1, 2), (np.nan, 4.0, 2.0), (0.1,) * 3)), ("b", Curve((0,), (np.nan,), (0.1,)))]
    )
    assert figure.axes[0].lines[0].get_ydata().tolist()[1:] == [1.0, 0.5]


def test_nemenyi_equals_the_published_values() -> None:
    # Demsar (2006), table 5: q = 1.960 for 2 and 3.164 for 10 classifiers at 0.05.
    assert ranks.nemenyi(2, 30, 0.05) == pytest.approx(1.960 * np.sqrt(2 * 3 / (6 * 30)), abs=2e-3)
    assert ranks.nemenyi(10, 30, 0.05) == pytest.approx(3.164 * np.sqrt(10 * 11 / (6 * 30)), abs=2e-3)


def test_bars_join_neighbours_without_a_significant_pair() -> None:
    better = np.zeros((4, 4), dtype=bool)
    better[0, 2] = better[0, 3] = better[1, 3] = True
    assert ranks._cliques(better) == [(0, 1), (1, 2), (2, 3)]


def test_bars_that_do_not_touch_share_a_lane() -> None:
    assert ranks._lanes([(0, 2), (1, 3), (3, 5), (4, 6)]) == [[(0, 2), (3, 5)], [(1, 3), (4, 6)]]


@pytest.mark.parametrize("losses", [2, 40])
def test_figures_grow_with_the_number_of_losses_and_keep_their_width(losses: int) -> None:
    names = [f"loss {i}" for i in range(losses)]
    flags = np.zeros((losses, losses), dtype=bool)
    places = np.arange(1.0, losses + 1)
    drawn = [
        ranks.critical_difference(places, flags, names, 30, 0.05),
        ranks.blobs(np.tile(places, (5, 1)), names, []),
        ranks.by_metric(np.tile(places, (2, 1)), ["DSC", "NSD"], names, []),
        matrices.significance(flags, flags, names),
        differences.forest(places, places, places, ["open"] * losses, names, 0.1, "DSC"),
        distributions.raincloud(np.tile(places[:, None], (1, 9)), names, "DSC", []),
    ]
    assert {figure.get_figwidth() for figure in drawn} == {style.WIDTH}
    assert all(figure.get_figheight() > 0.24 * losses for figure in drawn)


@pytest.mark.parametrize("count, named", [(2, [1, 2]), (14, [*range(1, 15)]), (22, [1, 5, 10, 15, 20]), (150, None)])
def test_a_scale_names_few_ranks_and_always_the_first(count: int, named: list[int] | None) -> None:
    found = style.places(count)
    assert found == (named or found) and found[0] == 1 and len(found) <= 15 and found[-1] <= count


def test_a_figure_becomes_svg_in_the_colours_of_the_page() -> None:
    figure = matrices.significance(np.triu(np.ones((3, 3), bool), 1), np.zeros((3, 3), bool), ["a", "b", "$c$"])
    text = style.svg(figure, "key", "A <title>")
    assert text.startswith('<svg role="img" aria-label="A &lt;title&gt;"')
    assert "var(--accent)" in text and style.ACCENT not in text
    assert "http" not in text and "DejaVu" not in text
    assert ">$c$  3<" in text


def test_the_same_figure_gives_the_same_bytes() -> None:
    def draw() -> dict[str, bytes]:
        shown = differences.forest(np.ones(2), np.zeros(2), np.full(2, 2.0), ["open", "worse"], ["a", "b"], 0.1, "DSC")
        return style.save(shown, "stem")

    assert draw() == draw()
    assert set(draw()) == {"stem.svg", "stem.png", "stem.pdf"}
