"""The names of the cases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from lossodyssey.data.adopt.channels import Image
from lossodyssey.data.adopt.names import core


def case_names(images: Sequence[Image]) -> list[str]:
    """Return a name for every case: the file's, with folders before it where files of several folders share a name.

    Raises:
        ValueError: two cases would have the same name.
    """
    stems = [image.stem for image in images]
    folders = ["_".join(image.where) for image in images]
    unique = len({stem.casefold() for stem in stems}) == len(stems)
    if unique and not (len(stems) == 1 and folders[0] and not core(stems[0], "image")):
        return stems
    bare = all(folders) and len({folder.casefold() for folder in folders}) == len(folders)
    names = folders if bare else ["_".join(filter(None, pair)) for pair in zip(folders, stems, strict=True)]
    counts = Counter(name.casefold() for name in names)
    twice = next((name for name in names if counts[name.casefold()] > 1), None)
    if twice:
        paths = ", ".join(str(i.files[0]) for i, name in zip(images, names, strict=True) if name == twice)
        raise ValueError(f"two cases would be called {twice!r} ({paths}); give one of the files another name")
    return names
