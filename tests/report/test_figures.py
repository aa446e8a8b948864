from __future__ import annotations

import numpy as np
import pytest

from lossodyssey.report.figures import curves, differences, distributions, matrices, ranks, style
from lossodyssey.report.runs import Curve


@pytest.mark.parametrize("values", [np.full((2, 5), 0.5), np.array([[0.1], [0.2]]), np.array([[0.0, 1.0], [1.0, 1.0]])])
def test_distributions_without_spread_can_be_drawn(values: np.ndarray) -> None:
    style.save(distributions.raincloud(values, ["a", "b"], "DSC", ["a"]), "figure")


def test_many_runs_of_long_losses_fit_on_the_figure() -> None:
    long = [f"Dice() + {i} * Focal(gamma=2.0) + TopK(percent=10.0) + Boundary()" for i in range(20)]
    curve = Curve((0, 10, 20), (2.0, 1.0, 0.5), (0.1, 0.1, 0.1))
    figure = curves.training([(loss, curve) for loss in long for _ in range(3)])
    style.save(figure, "figure")
    assert [text.get_text().replace("\n", " ") for text in figure.axes[0].get_legend().get_texts()] == long


def test_nemenyi_equals_the_published_values() -> None:
    # Demsar (2006), table 5: q = 1.960 for 2 and 3.164 for 10 classifiers at 0.05.
    assert ranks.nemenyi(2, 30, 0.05) == pytest.approx(1.960 * np.sqrt(2 * 3 / (6 * 30)), abs=2e-3)
    assert ranks.nemenyi(10, 30, 0.05) == pytest.approx(3.164 * np.sqrt(10 * 11 / (6 * 30)), abs=2e-3)


def test_bars_join_neighbours_without_a_significant_pair() -> None:
    better = np.zeros((4, 4), dtype=bool)
    better[0, 2] = better[0, 3] = better[1, 3] = True
    assert ranks._cliques(better) == [(0, 1), (1, 2), (2, 3)]


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
    assert set(draw()) == {"stem.svg", "stem.png"}
