"""The environment that nnU-Net needs: a supported version, and the variable that makes it find our trainers."""

from __future__ import annotations

import importlib
import os
import shlex
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from lossodyssey.core.door import VARIABLE as IMPORT

SUPPORTED = (2, 8)
PLUGIN = Path(__file__).parents[1] / "nnunet_plugin"
VARIABLE = "nnUNet_extTrainer"


def check_version() -> None:
    """Raise ValueError unless nnU-Net is installed in a version whose trainer these trainers extend."""
    wanted = ".".join(map(str, SUPPORTED))
    try:
        found = version("nnunetv2")
    except PackageNotFoundError:
        install = f'pip install ".[nnunet]" torch=={version("torch")}'
        raise ValueError(f"nnU-Net is not installed; it is the extra nnunet: {install}") from None
    if tuple(int(number) for number in found.split(".")[:2]) != SUPPORTED:
        raise ValueError(f"nnU-Net is {found}, but these trainers extend {wanted}: pip install 'nnunetv2=={wanted}.*'")


def export_line() -> str:
    """Return the shell line that adds our folder to the ones in which nnU-Net looks for trainers."""
    known = [folder for folder in os.environ.get(VARIABLE, "").split(os.pathsep) if folder and folder != str(PLUGIN)]
    return f"export {VARIABLE}={shlex.quote(os.pathsep.join([str(PLUGIN), *known]))}"


def import_line(sources: Sequence[str]) -> str:
    """Return the shell line by which any process finds custom losses, given as files or modules."""
    places = [str(path.resolve()) if (path := Path(source)).is_file() else source for source in sources]
    return f"export {IMPORT}={shlex.quote(os.pathsep.join(places))}"


def search_problem() -> str:
    """Return why `nnUNetv2_train -tr` will not get as far as our folder on this machine; nothing where it will.

    Its search imports all of its own trainers first, some of which need torchvision.
    """
    try:
        importlib.import_module("torchvision")
    except (ImportError, RuntimeError, OSError) as error:
        return (
            f"torchvision does not work beside this torch ({error}), and nnUNetv2_train imports it before it looks "
            "for our trainers: install both from one index for CPU builds, or train with "
            "lossodyssey nnunet train, which needs no search"
        )
    return ""
