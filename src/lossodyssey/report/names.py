"""Short names for the figures, where a loss's own text is too long for an axis."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

LONGEST = 30


def short_names(texts: Sequence[str], mark: str = "L") -> dict[str, str]:
    """Map each text to a name of at most 30 characters, unlike all others.

    A short text is its own name. A longer one becomes its place in `texts` and its beginning: "L7 Dice() + 0.5 * Foc…".
    """
    flat = {text: " ".join(text.split()) for text in texts}
    # Texts that differ in line breaks alone look the same on one line: they get keys as well.
    often = Counter(flat.values())
    return {
        text: line if len(line) <= LONGEST and often[line] == 1 else _keyed(f"{mark}{place}", line)
        for place, (text, line) in enumerate(flat.items(), 1)
    }


def shortened(names: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Keep the (text, name) pairs that a list of names must explain, since name and text differ."""
    return [(name, text) for text, name in names if name != text]


def _keyed(key: str, line: str) -> str:
    beginning = f"{key} {line}"
    return beginning if len(beginning) <= LONGEST else f"{beginning[: LONGEST - 1].rstrip()}…"
