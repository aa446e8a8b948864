"""Formulas in a terminal: no command is left, and nothing is lost."""

from __future__ import annotations

import pytest

from lossodyssey.core.atlas import atlas
from lossodyssey.guide.pages import formulas, page
from lossodyssey.guide.plain import CODE, without_accents, without_tex


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        (r"$1 - \frac{2\,TP}{2\,TP + FP + FN}$", "1 - (2 TP) / (2 TP + FP + FN)"),
        (r"$-\frac{1}{N} \sum_i w_{g_i} \log p_i$", "-1/N Σ_i w_(g_i) log p_i"),
        (r"$\frac{1}{|K|} \sum_{i \in K} x_{ic}^{1-\gamma}$", "1/|K| Σ_(i ∈ K) x_ic^(1-γ)"),
        (r"$K = \{i: p_i < t\}$", "K = {i: p_i < t}"),
        (r"$\left(\frac{a}{\frac{b}{c + 1}}\right)^2$", "(a / (b / (c + 1)))^2"),
        (r"$\overline{e \log(1 + s_c)} + \bar g$", "mean(e log(1 + s_c)) + g\u0304"),
        (r"$\sqrt{n - n_c} \cdot \operatorname{CE}(s)$", "√(n - n_c) · CE(s)"),
        (r"costs `$HOME` and $\alpha$", "costs `$HOME` and α"),
    ],
)
def test_formulas_are_written_on_one_line(formula: str, text: str) -> None:
    assert without_tex(formula) == text


@pytest.mark.parametrize("card", atlas(), ids=lambda card: card.name)
def test_no_loss_has_a_command_that_is_not_known(card: object) -> None:
    left = CODE.sub("", without_tex(page(card)))  # type: ignore[arg-type]
    assert "\\" not in left and "$" not in left


def test_signs_of_markdown_are_escaped() -> None:
    assert without_tex(r"$|s_i| * 2$", markdown=True) == r"\|s\_i\| \* 2"


@pytest.mark.parametrize("card", [card for card in atlas() if card.preset], ids=lambda card: card.name)
def test_presets_have_the_formulas_of_their_parts_and_advice(card: object) -> None:
    text = formulas(card)  # type: ignore[arg-type]
    assert text.startswith("In full `") and "\n- `" in text and text.count("$") >= 2
    if card.category != "as_released":  # type: ignore[attr-defined]
        assert "\n\n" in card.doc  # type: ignore[attr-defined]


def test_accents_of_the_bibliography_are_written() -> None:
    assert (
        without_accents(r"Szab{\'o}, A. and M{\"u}ller and Fa{\c c}ade and {\O}re")
        == "Szabó, A. and Müller and Façade and Øre"
    )
