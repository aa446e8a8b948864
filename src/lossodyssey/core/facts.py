"""The facts that stand on the class line of a loss, and those of several losses together."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable
from typing import Any, ClassVar

NAMES = ("range", "local", "one_graph", "monotone", "least_at_truth", "shift_free", "fewest_classes")
"""The facts that a class line states; the others follow from the class."""


class Facts:
    """Abstract: what is known of a loss without calling it.

    `range` is the least and the greatest value; `local` is False where a voxel's place among the others matters;
    `one_graph`, False where a compiler cannot hold it in one graph and function transforms cannot trace it;
    `monotone`, False where a larger probability of a voxel's true class may cost more, because the whole is compared;
    `least_at_truth`, False where another prediction, smoother or less certain, may cost less than the truth itself;
    `shift_free`, False where a number added to all logits of a voxel changes the loss; `fewest_classes`, how many
    classes, the background included, the loss needs to have a meaning; `without`, inherited hyper-parameters that would
    have no effect.
    """

    range: ClassVar[tuple[float, float]] = (-math.inf, math.inf)
    local: ClassVar[bool] = True
    one_graph: ClassVar[bool] = True
    needs_image: ClassVar[bool] = False
    supervised: ClassVar[bool] = True
    monotone: ClassVar[bool] = True
    least_at_truth: ClassVar[bool] = True
    shift_free: ClassVar[bool] = True
    fewest_classes: ClassVar[int] = 2
    without: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def state_facts(cls, without: Collection[str], facts: dict[str, Any]) -> None:
        """Set the facts of a class line; None leaves that of the base.

        Raises:
            TypeError: a word that is not a fact.
        """
        cls.without = (*cls.without, *without)
        for name, value in facts.items():
            if name not in NAMES:
                raise TypeError(f"{cls.__name__}: {name!r} is not a fact, expected one of {', '.join(NAMES)}")
            if value is not None:
                setattr(cls, name, value)


def of_terms(fact: str, together: Callable[[Iterable[bool]], bool] = all) -> Any:
    """Return a property: the fact of a sum, by those of its terms."""

    def get(loss: Any) -> bool:
        return together(getattr(leaf, fact) for _, leaf in loss.terms)

    return property(get, doc=f"Whether {together.__name__} of the terms are `{fact}`.")
