"""The parameters of a C function, read from its declaration, and the check of every argument that Python gives it.

C would believe whatever it is given: a tensor of another type or device, or one argument too few, ends the process.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Argument = Tensor | int | float | None

NUMBERS: dict[str, Any] = {"int64_t": ctypes.c_int64, "double": ctypes.c_double}
DTYPES = {
    "float": (torch.float32,),
    "double": (torch.float64,),
    "int64_t": (torch.int64,),
    "uint64_t": (torch.int64,),
    "int32_t": (torch.int32,),
    "uint8_t": (torch.uint8, torch.bool),
    "float *const": (torch.int64,),  # addresses of rows
    # Its width is among the arguments.
    "void": (torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float32),
}
POINTER = re.compile(r"(?:const )?(\w+(?: \*const)?) ?\*(\w+)")
NUMBER = re.compile(r"(\w+) (\w+)")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: a number where there are no `dtypes`, else a tensor of one of them, or None.

    With `by_rows` only the numbers of a row lie side by side, because a stride is among the arguments.
    """

    name: str
    kind: Any
    dtypes: tuple[torch.dtype, ...] = ()
    by_rows: bool = False

    def value(self, given: Argument) -> int | float | None:
        """Return what C is given.

        Raises:
            TypeError: it is of another kind, or a tensor that C cannot read.
        """
        if not self.dtypes:
            if isinstance(given, int) or (isinstance(given, float) and self.kind is ctypes.c_double):
                return given
            raise TypeError(f"{self.name} is {_told(given)}, expected a number for {self.kind.__name__}")
        if given is None:
            return None
        if not isinstance(given, Tensor) or given.dtype not in self.dtypes or not given.is_cpu:
            expected = " or ".join(map(str, self.dtypes))
            raise TypeError(f"{self.name} is {_told(given)}, expected a tensor of {expected} on the CPU")
        if not (given.is_contiguous() or (self.by_rows and given.stride(-1) == 1)):
            gaps = f"has the strides {given.stride()} at the shape {tuple(given.shape)}"
            raise TypeError(f"{self.name} {gaps}, expected {'rows' if self.by_rows else 'numbers'} without gaps")
        return given.data_ptr()


class Function:
    """A C function that can be called with tensors and numbers, which are checked first."""

    def __init__(self, name: str, pointer: Any, result: str, parameters: str) -> None:
        self.name, self.parameters = name, parse(name, parameters)
        pointer.restype = ctypes.c_int if result == "int" else None
        pointer.argtypes = [parameter.kind for parameter in self.parameters]
        self._pointer: Callable[..., int | None] = pointer

    def __call__(self, *arguments: Argument) -> None:
        """Call it: tensors by the address of their first element, None as NULL.

        Raises:
            TypeError: the arguments do not fit the declaration, an error of this package.
            MemoryError: the function could not allocate what it needs.
        """
        if len(arguments) != len(self.parameters):
            raise TypeError(f"{self.name} takes {len(self.parameters)} arguments, not {len(arguments)}")
        try:
            values = [parameter.value(given) for parameter, given in zip(self.parameters, arguments, strict=True)]
        except TypeError as problem:
            raise TypeError(f"{self.name}: {problem}") from None
        if self._pointer(*values):
            raise MemoryError(f"{self.name}: no memory for its buffers")


def parse(name: str, parameters: str) -> list[Parameter]:
    """Return the parameters of a C declaration.

    Raises:
        TypeError: a parameter is of a kind that is not in the tables above.
    """
    words = [" ".join(word.split()) for word in parameters.split(",")]
    return [_parameter(name, word, words[place + 1 :]) for place, word in enumerate(words)]


def _parameter(function: str, word: str, after: list[str]) -> Parameter:
    if (pointer := POINTER.fullmatch(word)) and pointer[1] in DTYPES:
        return Parameter(pointer[2], ctypes.c_void_p, DTYPES[pointer[1]], _has_stride(after))
    if (number := NUMBER.fullmatch(word)) and number[1] in NUMBERS:
        return Parameter(number[2], NUMBERS[number[1]])
    raise TypeError(f"{function}: {word!r} is no parameter that Python can give")


def _has_stride(after: list[str]) -> bool:
    """Return whether a stride stands among the numbers between a pointer and the next one."""
    numbers = after[: next((place for place, word in enumerate(after) if "*" in word), len(after))]
    return any(word.endswith("stride") for word in numbers)


def _told(given: Argument) -> str:
    return f"a tensor of {given.dtype} on {given.device}" if isinstance(given, Tensor) else repr(given)
