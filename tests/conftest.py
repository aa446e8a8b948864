"""Triton's kernels run through its interpreter where there is no GPU: this must be said before they are imported."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest
import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"


@pytest.fixture
def own_atlas() -> Iterator[None]:
    """Undo what a test brings into the atlas through the door, so that the next one finds it as it was."""
    from lossodyssey.core import atlas, door, sources

    kept = (atlas.CARDS, atlas.ALIASES, door.LATEST, sources.SHELF)
    before = [dict(mapping) for mapping in kept]
    claims, tried, modules = (
        {key: list(value) for key, value in atlas.ALIASES.items()},
        set(door.TRIED),
        set(sys.modules),
    )
    yield
    for mapping, old in zip(kept, before, strict=True):
        mapping.clear()
        mapping.update(old)  # type: ignore[arg-type]
    atlas.ALIASES.update(claims)
    door.TRIED.clear()
    door.TRIED.update(tried)
    for name in set(sys.modules) - modules:
        if name.startswith((sources.PREFIX, "own_")):
            del sys.modules[name]
