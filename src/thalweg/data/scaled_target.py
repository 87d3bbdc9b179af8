"""Numbers to predict in a scale of their own, and back: targets that were given as arrays."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from thalweg.data.plain import plain_list, plain_number, plain_object, plain_text
from thalweg.descriptions import Plain
from thalweg.errors import DescriptionError


@dataclass(frozen=True)
class TargetScale:
    """Targets standardised by column: z = (y - mean) / scale; :meth:`decode` goes back.

    Attributes:
        name: of a column; arrays have none.
        mean: of each column.
        scale: standard deviation of each column, 1 where it is constant.

    >>> target = TargetScale((10.0,), (2.0,))
    >>> target.encode(np.array([12.0, 9.0])), target.decode(np.array([1.0, -0.5]))
    (array([ 1. , -0.5]), array([12.,  9.]))
    """

    name: ClassVar[str] = ""

    mean: tuple[float, ...]
    scale: tuple[float, ...]

    def encode(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Targets (N,) or (N, …) in their scale, of the same shape."""
        rows = np.asarray(values, np.float64).reshape(len(values), -1)
        return ((rows - self.mean) / self.scale).reshape(values.shape)

    def decode(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Scaled numbers back in the targets' unit, of the same shape."""
        rows = np.asarray(values, np.float64).reshape(len(values), -1)
        return (rows * self.scale + self.mean).reshape(values.shape)

    def to_plain(self) -> dict[str, Plain]:
        """The scale as JSON data."""
        return {"type": "scale", "mean": list(self.mean), "scale": list(self.scale)}

    @classmethod
    def from_plain(cls, plain: Plain) -> TargetScale:
        """The scale that JSON data describes.

        Raises:
            DescriptionError: anything missing, unknown or of the wrong type.
        """
        found = plain_object(plain, ("type", "mean", "scale"), "target")
        plain_text(found["type"], "target.type", ("scale",))
        means = plain_list(found["mean"], "target.mean")
        scales = plain_list(found["scale"], "target.scale")
        if len(means) != len(scales) or not means:
            raise DescriptionError("target.mean and target.scale need one number for each column")
        return cls(
            tuple(plain_number(item, "target.mean") for item in means),
            tuple(plain_number(item, "target.scale", positive=True) for item in scales),
        )

    def fits(self, shape: tuple[int, ...], each: int = 1) -> bool:
        """Whether there is a mean for each number of a row, of so many outputs each."""
        return math.prod(shape) == len(self.mean) * each


__all__ = ["TargetScale"]
