"""LossOdyssey: segmentation losses, and a benchmark that says which one to use on your data.

    import lossodyssey as lo

    loss = lo.Dice() + 0.5 * lo.Focal(gamma=3.0)
    loss(logits, labels).backward()

Every loss of the atlas is a name of this module: `lo.atlas()` lists them.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Import the public names when the first of them is asked for, so that commands without torch start at once."""
    if find_spec(f"{__name__}.{name}"):
        return import_module(f"{__name__}.{name}")
    if name not in _public():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *_public()})


def _public() -> list[str]:
    found = vars(import_module(f"{__name__}.public"))
    names = [name for name in found if not name.startswith("_") and name != "annotations"]
    globals().update({name: found[name] for name in names})
    return names
