"""Arrays of Keras's TensorFlow and JAX back ends that the losses' formulas take for torch tensors.

Formulas use operators, a few methods and a few torch functions. Operators and methods are those of `Array`; the
functions arrive in `__torch_function__`, torch's own protocol for types like this, so no formula knows of Keras.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from keras import ops


class Array:
    """A Keras tensor under torch's names."""

    def __init__(self, value: Any) -> None:
        self.value = value

    device = torch.device("cpu")  # where formulas make their constants
    dtype = torch.float32

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.value.shape)

    def to(self, dtype: object = None) -> Array:
        return Array(ops.cast(self.value, "float32"))

    def exp(self) -> Array:
        return Array(ops.exp(self.value))

    def log(self) -> Array:
        return Array(ops.log(self.value))

    def abs(self) -> Array:
        return Array(ops.abs(self.value))

    def detach(self) -> Array:
        return Array(ops.stop_gradient(self.value))

    def amax(self, dim: int, keepdim: bool = False) -> Array:
        return Array(ops.max(self.value, axis=dim, keepdims=keepdim))

    def clamp(self, min: float | None = None, max: float | None = None) -> Array:
        low = self.value if min is None else ops.maximum(self.value, min)
        return Array(low if max is None else ops.minimum(low, max))

    def sum(self, dim: int | None = None, keepdim: bool = False, dtype: object = None) -> Array:
        return Array(ops.sum(self.value, axis=dim, keepdims=keepdim))

    def new_tensor(self, numbers: Sequence[float]) -> Array:
        return Array(ops.convert_to_tensor(numbers, dtype="float32"))

    def expand(self, *shape: int) -> Array:
        return Array(ops.broadcast_to(self.value, shape))

    def __getitem__(self, index: Any) -> Array:
        if isinstance(index, Array):
            return Array(ops.take(self.value, ops.cast(index.value, "int32"), axis=0))
        return Array(self.value[index])

    def __neg__(self) -> Array:
        return Array(-self.value)

    @classmethod
    def __torch_function__(
        cls, function: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Array:
        if function not in FUNCTIONS:
            raise NotImplementedError(f"torch.{function.__name__} has no counterpart for Keras arrays")
        named = {name: raw(value) for name, value in (kwargs or {}).items()}
        return Array(FUNCTIONS[function](*(raw(value) for value in args), **named))


def raw(value: Any) -> Any:
    """Return a value that Keras computes with: the array inside, a torch constant as numpy, a number as it is."""
    if isinstance(value, Array):
        return value.value
    return value.numpy() if isinstance(value, torch.Tensor) else value


def _where(condition: Any, yes: Any, no: Any) -> Any:
    return ops.where(condition, *(ops.cast(value, "float32") for value in (yes, no)))


FUNCTIONS: dict[Any, Callable[..., Any]] = {
    torch.where: _where,
    torch.ones_like: ops.ones_like,
    torch.expm1: ops.expm1,
    torch.log1p: ops.log1p,
}


def _binary(operation: Callable[[Any, Any], Any], *, turned: bool = False) -> Callable[[Array, Any], Array]:
    def apply(self: Array, other: Any) -> Array:
        left, right = (_number(side) for side in (self, other))
        return Array(operation(right, left) if turned else operation(left, right))

    return apply


def _number(value: Any) -> Any:
    """Return a value for arithmetic, in which booleans take part as 0 and 1, as in torch."""
    return ops.cast(raw(value), "float32")


for _name, _operation in {
    "add": ops.add,
    "sub": ops.subtract,
    "mul": ops.multiply,
    "truediv": ops.divide,
    "matmul": ops.matmul,
    "pow": ops.power,
}.items():
    setattr(Array, f"__{_name}__", _binary(_operation))
    setattr(Array, f"__r{_name}__", _binary(_operation, turned=True))
_COMPARISONS = {
    "eq": ops.equal,
    "gt": ops.greater,
    "ge": ops.greater_equal,
    "lt": ops.less,
    "le": ops.less_equal,
}
for _name, _operation in _COMPARISONS.items():
    setattr(Array, f"__{_name}__", _binary(_operation))
