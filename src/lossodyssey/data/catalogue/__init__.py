"""Known data sets: their contents, licences, sources and traps, a file per field of medicine."""

from __future__ import annotations

from lossodyssey.data.catalogue.abdomen import ABDOMEN
from lossodyssey.data.catalogue.decathlon import DECATHLON, MIRROR, TASKS
from lossodyssey.data.catalogue.endoscopy import ENDOSCOPY
from lossodyssey.data.catalogue.entry import ALL_AXES, Entry, nearest, plain
from lossodyssey.data.catalogue.eyes import EYES
from lossodyssey.data.catalogue.head_and_heart import HEAD_AND_HEART
from lossodyssey.data.catalogue.microscopy import MICROSCOPY
from lossodyssey.data.catalogue.odyssey import ODYSSEY, RELEASED
from lossodyssey.data.catalogue.phantom import LESIONS, PHANTOM, VESSELS
from lossodyssey.data.catalogue.surfaces import SURFACES
from lossodyssey.data.catalogue.ultrasound import ULTRASOUND

ENTRIES: tuple[Entry, ...] = (
    PHANTOM,
    VESSELS,
    LESIONS,
    *TASKS,
    *ABDOMEN,
    *ODYSSEY,
    *RELEASED,
    *HEAD_AND_HEART,
    *ULTRASOUND,
    *EYES,
    *ENDOSCOPY,
    *MICROSCOPY,
    *SURFACES,
)
BY_NAME = {entry.name: entry for entry in ENTRIES}
BY_ANY_NAME = {plain(name): entry for entry in ENTRIES for name in (*entry.aliases, entry.name)}

BY_RECIPE = {plain(recipe): entry for entry in ENTRIES for recipe in entry.recipes}


def canonical(name: str) -> str:
    """Return the name that the catalogue has for a set under any of its names in any case; others stay as they are."""
    # A path is left alone: only its letters would look like a name.
    entry = BY_ANY_NAME.get(plain(name)) if not set(name) & set("/\\.") else None
    return entry.name if entry else name


def look_up(name: str) -> Entry:
    """Return the entry of a data set by any of its names, or by that of a variant which a recipe makes of it.

    Raises:
        ValueError: the catalogue has no such set; the text has the nearest known names.
    """
    entry = BY_NAME.get(canonical(name)) or BY_RECIPE.get(plain(name))
    if entry is None:
        raise ValueError(f"no known data set {name!r}; {nearest(name, BY_NAME)}")
    return entry


__all__ = ["ALL_AXES", "BY_NAME", "DECATHLON", "ENTRIES", "MIRROR", "Entry", "canonical", "look_up", "nearest"]
