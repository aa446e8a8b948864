"""A folder of images and masks as it was understood: everything that is written, shown or refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lossodyssey.data.adopt.channels import Image, Images, join_channels
from lossodyssey.data.adopt.choices import Choices
from lossodyssey.data.adopt.classes import Naming, numbered, read_naming
from lossodyssey.data.adopt.colours import decide_colours
from lossodyssey.data.adopt.decision import Decision
from lossodyssey.data.adopt.facts import MaskFacts
from lossodyssey.data.adopt.folders import File, Found, find_files
from lossodyssey.data.adopt.groups import grouped, proposed
from lossodyssey.data.adopt.images import Harmony, channel_names, harmonise
from lossodyssey.data.adopt.layers import Sorted, sort_masks
from lossodyssey.data.adopt.names import compiled, core, file_role
from lossodyssey.data.adopt.pairing import Match, Pairing, pair
from lossodyssey.data.adopt.patterns import read_images, renamed
from lossodyssey.data.adopt.reading import OnProgress, Read, misfits, read_all, swapped
from lossodyssey.data.adopt.values import decide_values
from lossodyssey.data.grids import has_own_size

Left = tuple[tuple[Path, str], ...]
MOST = 20  # faults of one kind that are listed


@dataclass(frozen=True, kw_only=True)
class Understanding:
    """A data set as it will be written.

    `layers` are the classes whose masks are files of their own. `refused` says with its fix what no yes can decide;
    `doubts` are guesses that a yes accepts; `notes` are told.
    """

    choices: Choices
    cases: Mapping[str, Read]
    channels: tuple[str, ...]
    harmony: Harmony
    decision: Decision
    layers: tuple[str, ...]
    groups: Mapping[str, str]
    unpaired: Left
    notes: tuple[str, ...]
    doubts: tuple[str, ...]
    refused: tuple[str, ...]

    @property
    def dims(self) -> int:
        """The number of axes of space."""
        return next(iter(self.cases.values())).dims


def understand(choices: Choices, on_progress: OnProgress = lambda done, total: None) -> Understanding:
    """Find out what a folder of images and masks holds; nothing is written.

    Raises:
        FileNotFoundError: a folder is not there.
        ValueError: a choice or a file does not serve, or nothing can be paired.
    """
    choices.check()
    naming = read_naming(choices.classes)
    found = find_files(choices.folder, choices.images, choices.masks)
    images, pairing = _paired(found, choices)
    unpaired = (*found.left_out, *images.left_out, *pairing.unpaired)
    if not pairing.pairs:
        raise ValueError(_nothing(found, unpaired))
    masks = sort_masks(pairing)
    reads = read_all(masks, on_progress)
    return _understood(choices, naming, images, masks, reads, unpaired)


def _paired(found: Found, choices: Choices) -> tuple[Images, Pairing]:
    rests: dict[Path, str] = {}
    masks: Sequence[File] = found.masks
    left: Left = ()
    if choices.pattern:
        kept, left = renamed(masks, compiled(choices.pattern, "--pattern"), choices.pattern)
        masks, rests = [mask for mask, _ in kept], {mask.path: rest for mask, rest in kept}
    cores = {core(mask.stem, "mask") for mask in masks}
    if choices.image_pattern:
        expression = compiled(choices.image_pattern, "--image-pattern")
        images = read_images(found.images, expression, choices.image_pattern)
    else:
        images = join_channels(found.images, cores)
    pairing = pair(images.images, masks)
    if rests:
        pairing = replace(pairing, pairs=tuple((i, tuple(_with(m, rests) for m in ms)) for i, ms in pairing.pairs))
    return images, replace(pairing, unpaired=(*left, *pairing.unpaired))


def _with(match: Match, rests: Mapping[Path, str]) -> Match:
    return Match(match.mask, rests[match.mask.path])


def _nothing(found: Found, unpaired: Left) -> str:
    images, masks = len(found.images), len(found.masks)
    path, why = unpaired[0]
    return (
        f"none of {masks} masks fits any of {images} images by its name: {path}: {why}; say how masks are called, "
        "as --pattern '{case}_mask'"
    )


def _understood(
    choices: Choices, naming: Naming, images: Images, masks: Sorted, reads: list[Read], unpaired: Left
) -> Understanding:
    names = case_names([read.image for read in reads])
    harmony = harmonise([image for read in reads for image in read.images])
    decision = _decided(reads, masks, naming, choices)
    doubts, notes = [*masks.doubts, *decision.doubts], [*masks.notes, *decision.notes, *harmony.notes]
    if unpaired:
        doubts.append(f"{len(unpaired)} files pair with nothing and are left out")
    if not choices.group and (note := proposed(names)):
        notes.append(note)
    notes += _reader_notes(reads)
    refused = [*_exchanged(reads), *masks.refused, *harmony.refused]
    refused += _dims(reads)
    refused += [fault for read in reads for fault in misfits(read)][:MOST]
    return Understanding(
        choices=choices,
        cases=dict(zip(names, reads, strict=True)),
        channels=channel_names(images.channels, harmony.channels),
        harmony=harmony,
        decision=decision,
        layers=_order(masks.classes, naming),
        groups=grouped(names, choices.group),
        unpaired=unpaired,
        notes=tuple(notes),
        doubts=tuple(doubts),
        # An exchange of images and masks explains whatever the values are.
        refused=tuple(refused if refused and refused == _exchanged(reads) else [*refused, *decision.refused]),
    )


def _exchanged(reads: Sequence[Read]) -> list[str]:
    named = [(file_role(read.image.files[0].stem), file_role(read.masks[0].path.stem)) for read in reads]
    if all(pair == ("mask", "") or pair == ("mask", "image") for pair in named):
        path = reads[0].image.files[0]
        return [f"all images are called masks, such as {path}, and no mask is: exchange --images and --masks"]
    return list(filter(None, [swapped(reads)]))


def _dims(reads: Sequence[Read]) -> list[str]:
    by_dims = {read.dims: read.images[0].path for read in reads}
    if len(by_dims) > 1:
        seen = " and ".join(f"{path} {dims}" for dims, path in by_dims.items())
        return [f"some images have two axes and others three: {seen}; adopt them as two data sets"]
    return []


def _reader_notes(reads: Sequence[Read]) -> list[str]:
    told = [note for read in reads for facts in read.files for note in facts.notes]
    more = [f"{len(told) - MOST} more notes like these"] if len(told) > MOST else []
    left = [mask for read in reads for mask in read.masks if "transparency" in mask.extra]
    varying = [mask for mask in left if "varying" in mask.extra]
    if varying:
        told.append(f"{len(varying)} masks have a transparency that varies, such as {varying[0].path}: left out")
    return [*dict.fromkeys(told[:MOST]), *more]


def _decided(reads: Sequence[Read], masks: Sorted, naming: Naming, choices: Choices) -> Decision:
    facts = [mask for read in reads for mask in read.masks]
    binary = bool(masks.classes) or any(len(layer) > 1 for read in reads for _, layer in read.layers)
    coloured = any(mask.kind == "colour" or max(mask.counts, default=0) > 0xFFFF for mask in facts)
    decide: Callable[..., Decision] = decide_colours if coloured else decide_values
    own = Naming((), ()) if masks.classes else naming
    decision = decide(facts, masks.common, own, choices)
    if decision.refused or not binary:
        return decision
    return _of_files(decision, masks, naming, facts)


def _of_files(decision: Decision, masks: Sorted, naming: Naming, facts: Sequence[MaskFacts]) -> Decision:
    """Return the decision for masks that are several files of an image, each of which must have two values."""
    if len(decision.classes) != 2 or decision.ignore is not None:
        found = ", ".join(decision.classes.values())
        return replace(
            decision,
            refused=(
                f"images have several masks, but these hold more than two values ({found}); choose one mask per image "
                "with --pattern, or part the values in two with --threshold",
            ),
        )
    if not masks.classes:
        return decision
    classes = _names(masks.classes, naming)
    guessed = () if naming.names else (f"classes are named after the masks' files ({', '.join(classes)})",)
    told = tuple(note for note in decision.notes if "name" not in note)
    return replace(decision, classes=numbered(classes), notes=(*told, *guessed))


def _order(classes: tuple[str, ...], naming: Naming) -> tuple[str, ...]:
    """Return the classes of the files in the order that the user gave.

    Raises:
        ValueError: the names are not those of the files.
    """
    if not classes or not naming.names:
        return classes
    keys = [key.casefold() for key in (naming.keys or naming.names)]
    if sorted(keys) != sorted(classes):
        raise ValueError(
            f"--classes names {', '.join(keys)}, but the masks' files name {', '.join(classes)}; list all of them, "
            "later ones are written over earlier ones, and rename them as liver=Liver"
        )
    return tuple(keys)


def _names(classes: tuple[str, ...], naming: Naming) -> list[str]:
    return list(naming.names) if naming.names and _order(classes, naming) else list(classes)


def case_names(images: Sequence[Image]) -> list[str]:
    """Return a name for every case: the file's, with folders before it where files of several folders are called alike.

    Raises:
        ValueError: two cases would be called alike.
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


def check_spacing(found: Understanding) -> None:
    """Refuse a spacing that has no effect, or the wrong number of axes.

    Raises:
        ValueError: so it is.
    """
    given = found.choices.spacing
    if not given:
        return
    own = next((i.path for read in found.cases.values() for i in read.images if has_own_size(i.path)), None)
    if own:
        raise ValueError(f"--spacing: {own} keeps its own spacing, which is what is read; leave the option out")
    if len(given) != found.dims:
        raise ValueError(f"--spacing has {len(given)} sizes; expected {found.dims}, one per axis (rows first)")
