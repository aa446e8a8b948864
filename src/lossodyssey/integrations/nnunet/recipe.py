"""The recipe of a trainer, and the name that states it.

nnUNetTrainerLO_DiceTopK
nnUNetTrainerLO_Tversky__odyssey__lr3e4__100epochs__50iterations__5patience__seed1
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from decimal import Decimal

from lossodyssey import atlas, parse
from lossodyssey.core.sources import Source, copies, sources_of
from lossodyssey.core.text import meaning
from lossodyssey.integrations.nnunet.protocols import PROTOCOLS, Protocol

PREFIX = "nnUNetTrainerLO_"
GRAMMAR = f"{PREFIX}<Loss>[__nnunet or __odyssey][__lr3e4][__100epochs][__50iterations][__5patience][__seed1]"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A loss and how it is trained; None takes the protocol's value, and for `seed` an unpredictable one."""

    loss: str
    protocol: str = "nnunet"
    learning_rate: float | None = None
    epochs: int | None = None
    iterations: int | None = None
    patience: int | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "loss", repr(parse(self.loss)))
        if self.protocol not in PROTOCOLS:
            raise ValueError(f"protocol is {self.protocol!r}; expected one of {', '.join(PROTOCOLS)}")
        for name in ("learning_rate", "epochs", "iterations", "patience"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} is {value}; expected a positive number")
        if self.patience is not None and not self.rules.adam:
            raise ValueError(
                f"patience is {self.patience}, but the rate of protocol {self.protocol} falls with every epoch; "
                "leave patience out, or take protocol odyssey"
            )

    @property
    def sources(self) -> tuple[Source, ...]:
        """The sources of custom losses that the loss is made of."""
        return sources_of(parse(self.loss))

    @property
    def contents(self) -> dict[str, str]:
        """The hash of each of the sources, by its name."""
        return {name: source.sha256 for name, source in copies(self.sources).items()}

    @property
    def rules(self) -> Protocol:
        """The protocol by this recipe's name of it."""
        return PROTOCOLS[self.protocol]

    @property
    def caveat(self) -> str:
        """A sentence where the training is too short for its rate to fall on a plateau, else nothing."""
        epochs, patience = self.epochs or self.rules.epochs, self.patience or self.rules.patience
        if not self.rules.adam or epochs > patience:
            return ""
        return (
            f"The learning rate cannot fall: that takes more than {patience} epochs, and there are {epochs}. "
            f"Give a smaller patience; {max(1, epochs // 20)} has the protocol's share of the training."
        )

    @property
    def atlas_name(self) -> str:
        """Name of a loss with all its defaults, which is all a trainer's name can say; else nothing.

        A sum that computes the same as a preset has the preset's name: it is the same training.
        """
        own = meaning(parse(self.loss))
        named = [card.name for card in atlas() if meaning(card()) == own]
        return named[0] if named else ""

    @property
    def first_stage(self) -> Recipe | None:
        """The recipe that is trained before this one, in protocols that train some losses in two stages."""
        loss = self.rules.stages.get(self.atlas_name)
        return replace(self, loss=f"{loss}()", learning_rate=None) if loss else None

    @property
    def name(self) -> str:
        """Name of the trainer and of its folder of results."""
        parts = [PREFIX + (self.atlas_name or _slug(self.loss))]
        parts += [self.protocol] if self.protocol != "nnunet" else []
        parts += [_rate_text(self.learning_rate)] if self.learning_rate is not None else []
        parts += [f"{self.epochs}epochs"] if self.epochs is not None else []
        parts += [f"{self.iterations}iterations"] if self.iterations is not None else []
        parts += [f"{self.patience}patience"] if self.patience is not None else []
        parts += [f"seed{self.seed}"] if self.seed is not None else []
        return "__".join(parts)


TOKENS = {
    "protocol": re.compile("|".join(PROTOCOLS)),
    "learning_rate": re.compile(r"lr(\d+)e(\d+)"),
    "epochs": re.compile(r"(\d+)epochs?"),
    "iterations": re.compile(r"(\d+)iterations?"),
    "patience": re.compile(r"(\d+)patience"),
    "seed": re.compile(r"seed(\d+)"),
}


def read_name(name: str) -> Recipe:
    """Return the recipe that a trainer's name states.

    Raises:
        ValueError: a part of the name that is not known or comes too late.
    """
    loss, *tokens = name.removeprefix(PREFIX).split("__")
    found: dict[str, str | float | int] = {}
    for token in tokens:
        field = next((field for field, pattern in TOKENS.items() if pattern.fullmatch(token)), None)
        if field is None or field in found:
            problem = "is not known" if field is None else "comes too late"
            raise ValueError(f"{name}: part {token!r} {problem}; expected {GRAMMAR}")
        found[field] = _value(field, token)
    return Recipe(loss=f"{loss}()", **found)  # type: ignore[arg-type]


def _value(field: str, token: str) -> str | float | int:
    if field == "protocol":
        return token
    numbers = re.findall(r"\d+", token)
    return float(f"{numbers[0]}e-{numbers[1]}") if field == "learning_rate" else int(numbers[0])


def _rate_text(rate: float) -> str:
    """Return the rate 3e-4 as lr3e4: a class name has no room for signs and points."""
    _, digits, exponent = Decimal(repr(float(rate))).normalize().as_tuple()
    assert isinstance(exponent, int)
    mantissa = int("".join(map(str, digits)))
    return f"lr{mantissa}e{-exponent}" if exponent <= 0 else f"lr{mantissa * 10**exponent}e0"


def _slug(loss: str) -> str:
    """Return a readable identifier of an expression, with a digest because the readable part is not unique."""
    readable = re.sub(r"\W+", "_", loss).strip("_")[:40].replace("__", "_").strip("_")
    return f"{readable}_{hashlib.sha256(loss.encode()).hexdigest()[:8]}"
