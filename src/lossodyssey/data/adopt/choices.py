"""The user's word on a folder of images and masks; everything that is not said is found out or guessed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Choices:
    """Where images and masks lie, and how they are to be understood.

    Attributes:
        folder: a folder of both, in place of `images` and `masks`.
        pattern: names of masks without ending, such as `{case}_mask` or `{case}_{class}`.
        image_pattern: names of images, such as `{case}_{channel}`.
        classes: names by value, colour or word of a file name, `1=liver,2=spleen`, or in their order, `liver,spleen`.
        ignore: value or colour of pixels that do not count.
        threshold: least value of the foreground.
        instances: whether the values of masks number objects of one class.
        spacing: size of a pixel in mm along every axis, of images whose files do not say it.
        group: a regular expression whose first capture group is the patient in the name of a case.
    """

    folder: Path | None = None
    images: Path | None = None
    masks: Path | None = None
    pattern: str = ""
    image_pattern: str = ""
    classes: str = ""
    ignore: str = ""
    threshold: float | None = None
    instances: bool = False
    spacing: tuple[float, ...] = ()
    group: str = ""

    @property
    def name(self) -> str:
        """A name for the data set, that of its folder."""
        return (self.folder or self.images or Path()).resolve().name

    def check(self) -> None:
        """Refuse choices that contradict each other.

        Raises:
            ValueError: two choices exclude each other, or one cannot be read.
        """
        if self.instances and (self.threshold is not None or self.ignore):
            other = "--ignore" if self.ignore else "--threshold"
            raise ValueError(f"--instances makes every value above 0 one class, so {other} has no effect; leave it out")
        if self.threshold is not None and self.ignore:
            raise ValueError("--threshold parts all values in two, so --ignore has no effect; leave one of them out")
        if any(not size > 0 or size == float("inf") for size in self.spacing):
            raise ValueError(f"--spacing is {self.spacing}; expected sizes in mm above 0, such as 0.5,0.5")
        if self.group:
            _check_group(self.group)


def _check_group(text: str) -> None:
    try:
        brackets = re.compile(text).groups
    except re.error as error:
        raise ValueError(
            f"--group is {text!r}, not a regular expression ({error}); such as '(patient[0-9]+)'"
        ) from None
    if not brackets:
        raise ValueError(
            f"--group is {text!r} and has no capture group; put the patient in brackets, such as '(patient[0-9]+)_'"
        )
