"""What the reference makes of docstrings: shapes such as (N, *S) are no emphasis, and fields are lists."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

CODE = re.compile(r"(`[^`]*`|\$[^$]*\$)")
STAR = re.compile(r"(?<![\\*\w])\*(?=[A-Z])")


class Shapes(Extension):
    """Escape the star of a shape in every docstring, outside of code and formulas."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        if obj.docstring:
            obj.docstring.value = escaped(obj.docstring.value)


def escaped(text: str) -> str:
    """Return the text with `*S` written so that Markdown shows it as it is."""
    return "".join(part if CODE.fullmatch(part) else STAR.sub(r"\\*", part) for part in CODE.split(text))
