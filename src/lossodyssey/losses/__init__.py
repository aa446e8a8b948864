"""The losses: importing this package imports every family file, which fills the atlas and this namespace.

Type checkers read the same names from the generated `lossodyssey/__init__.pyi`.
"""

from __future__ import annotations

import importlib as _importlib
import pkgutil as _pkgutil

from lossodyssey.core.atlas import CARDS as _CARDS

for _module in _pkgutil.walk_packages(__path__, prefix=f"{__name__}."):
    _importlib.import_module(_module.name)

globals().update({_name: _card.build for _name, _card in _CARDS.items()})
__all__ = list(_CARDS)
