"""The losses: importing this package imports every family file, which fills the atlas and this namespace."""

from __future__ import annotations

import importlib as _importlib
import pkgutil as _pkgutil
from typing import TYPE_CHECKING as _TYPE_CHECKING

from lossodyssey.losses.atlas import CARDS as _CARDS

for _module in _pkgutil.walk_packages(__path__, prefix=f"{__name__}."):
    _importlib.import_module(_module.name)

globals().update({_name: _card.build for _name, _card in _CARDS.items()})

if _TYPE_CHECKING:  # what the loop above does, for editors and type checkers; a test compares the two
    from lossodyssey.losses.as_released import *
    from lossodyssey.losses.boundary.boundary import *
    from lossodyssey.losses.boundary.hausdorff import *
    from lossodyssey.losses.boundary.region_wise import *
    from lossodyssey.losses.compound.exponential_logarithmic import *
    from lossodyssey.losses.compound.scheduled import *
    from lossodyssey.losses.compound.sums import *
    from lossodyssey.losses.compound.unified_focal import *
    from lossodyssey.losses.distribution.cross_entropy import *
    from lossodyssey.losses.distribution.topk import *
    from lossodyssey.losses.region.dice import *
    from lossodyssey.losses.region.generalized_dice import *
    from lossodyssey.losses.region.lovasz import *
    from lossodyssey.losses.region.sensitivity import *
    from lossodyssey.losses.region.tversky import *
else:
    __all__ = list(_CARDS)
