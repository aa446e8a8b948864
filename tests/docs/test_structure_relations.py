"""The examples of the section on relations run, and say what they say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[2] / "docs" / "structure_losses.md"


def test_examples_of_relations_run() -> None:
    section = PAGE.read_text(encoding="utf-8").split("\n## Relations")[1].split("\n## ")[0]
    code = "\n".join(re.findall(r"```python\n(.*?)```", section, re.DOTALL))
    names: dict[str, Any] = {}
    exec(code, names)
    lo, logits, labels = (names[name] for name in ("lo", "logits", "labels"))
    assert lo.never_touching(names["table"]) == ((0, 2), (0, 3), (1, 3))
    assert names["wall"](logits, labels) > 0 == names["wall"](names["tight"], labels)
    for name in ("NonAdjacency", "TopologicalInteraction", "GeneralizedWassersteinDice"):
        assert f"[{name}](losses/{name}.md)" in section
