"""The word for all that is compared: losses, unless a caller says models, methods or teams."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_WORDS: ContextVar[tuple[str, str]] = ContextVar("words", default=("loss", "losses"))


def noun() -> str:
    """Return the word for one of what is compared."""
    return _WORDS.get()[0]


def nouns() -> str:
    """Return the word for several."""
    return _WORDS.get()[1]


@contextmanager
def called(what: str) -> Iterator[None]:
    """Call what is compared by another word in every sentence that is made meanwhile: "model", or "mouse/mice".

    Raises:
        ValueError: it is not a word, or its plural cannot be told from it.
    """
    token = _WORDS.set(_read(what))
    try:
        yield
    finally:
        _WORDS.reset(token)


def _read(what: str) -> tuple[str, str]:
    single, slash, several = (part.strip() for part in what.partition("/"))
    words = (single, several) if slash else (single,)
    if not all(re.fullmatch(r"[^\W\d_]+([ -][^\W\d_]+)*", word) for word in words):
        raise ValueError(f"--what is {what!r}; expected a word such as model, or mouse/mice with its plural")
    if slash or single != single.rstrip("s") or single.endswith(("x", "ch", "sh")):
        return single, several or f"{single}es"
    return single, f"{single[:-1]}ies" if re.search(r"[^aeiou]y$", single) else f"{single}s"
