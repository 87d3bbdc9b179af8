"""What training leaves: a network with its parameters, and all it needs to predict."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from thalweg.data.encoding import TableEncoder
from thalweg.data.image_encoder import ImageEncoder
from thalweg.data.scaled_target import TargetScale
from thalweg.data.table import Note
from thalweg.data.targets import NumberTarget, Target
from thalweg.descriptions import Plain
from thalweg.errors import DataError, DTypeError, GraphError, SettingError, ShapeError
from thalweg.graph import Array, Shape, Tensor, as_array, constant
from thalweg.model.forward import Forward, native_forward
from thalweg.nn.front import check_rows, takes_missing
from thalweg.nn.layer import Network
from thalweg.nn.losses import Loss
from thalweg.nn.paths import any_selects, check_patterns

if TYPE_CHECKING:
    from thalweg.data.table import Table

Label = bool | int | float | str
"""What names a class."""


@dataclass(frozen=True, eq=False, repr=False)
class Model:
    """A trained network: predicts, is saved and loaded.

    Attributes:
        network: the description (or function) of the network.
        parameters: trained arrays by path.
        states: other arrays by path.
        input_shape: the shape of one row.
        loss: what the outputs mean: net inputs of classes, or numbers.
        classes: the labels of the outputs, for classification.
        single: whether a regression target was one number a row, so that predictions are (N,).
        encoder: how a table becomes inputs, where the model was trained on a table.
        target: how the target column was encoded, where the model was trained on a table; or how
            numbers were scaled for training.
        record: how the model was trained (settings, seed, history, scores), as JSON data.
        images: the size, channels and layout of images, where the model was trained on images.
    """

    network: Network
    parameters: Mapping[str, Array]
    states: Mapping[str, Array]
    input_shape: Shape
    loss: Loss
    classes: tuple[Label, ...] | None = None
    single: bool = True
    encoder: TableEncoder | None = None
    target: Target | None = None
    record: Mapping[str, Plain] = field(default_factory=dict[str, Plain])
    images: ImageEncoder | None = None

    def __repr__(self) -> str:
        count = sum(array.size for array in self.parameters.values())
        name = type(self.network).__name__
        predicts = "numbers" if self.classes is None else f"{len(self.classes)} classes"
        return f"Model({name}, {count:,} parameters, input {self.input_shape}, {predicts})"

    def __getstate__(self) -> dict[str, Any]:
        """What copies and other processes get: all but the compiled programs."""
        return {name: value for name, value in self.__dict__.items() if name != "_forward"}

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of parameters, states and outputs."""
        arrays = (*self.parameters.values(), *self.states.values())
        return next((array.dtype for array in arrays), np.dtype("float32"))

    @cached_property
    def _forward(self) -> Forward:
        return native_forward(self.network)

    def inputs(self, x: Any, *, resize: bool = False) -> tuple[Array, tuple[Note, ...]]:
        """Rows as the network takes them, with notes on what a table held.

        Args:
            x: an array (N, …); or, for a model trained on a table, a path, a Table, a data frame
                or a mapping of columns, matched by name; or, for a model trained on images, the
                path of an image file or a list of paths.
            resize: bring images of another size or mode to the model's.

        Raises:
            ColumnError: a column that the model needs is missing.
            DataError: text where numbers are due, NaN or infinity, or an image of another size.
            FileError: a file that is damaged or no image.
            SettingError: ``resize`` where the model was not trained on images.
            ShapeError: rows of another shape than the model was trained on.
        """
        if self.images is not None:
            x = self.images.rows(x.numpy() if isinstance(x, Tensor) else x, resize=resize)
        elif resize:
            raise SettingError("resize is for models that were trained on images; leave it out")
        if self.encoder is not None and not isinstance(x, (np.ndarray, Tensor, list, tuple)):
            encoded = self.encoder.transform(_as_table(x))
            return encoded.values, encoded.notes
        rows = numeric_rows(x, self.input_shape, missing=takes_missing(self.network))
        check_rows(self.network, self.states, rows, self.dtype)
        return rows, ()

    def outputs(self, x: Any, *, resize: bool = False) -> Array:
        """The network's raw outputs, (N, …): net inputs of classes, or scaled numbers."""
        return self._forward(self.parameters, self.states, self.inputs(x, resize=resize)[0])

    def predict(self, x: Any, *, resize: bool = False) -> Array:
        """The predicted class label or value of each row.

        Args:
            x: rows, as for :meth:`inputs`.
            resize: bring images of another size or mode to the model's.

        Returns:
            Classification: labels (N,), of the type they had in training; regression: (N,), or
            (N, outputs) where the target had several columns, in the target's own unit. Where the
            outputs are NaN a warning says that the labels mean nothing.
        """
        predicted = self._predicted(x, resize)
        if self.classes is not None and np.isnan(predicted).any():
            rows = int(np.isnan(predicted).reshape(len(predicted), -1).any(axis=1).sum())
            warnings.warn(
                f"the outputs for {rows} of {len(predicted)} rows are NaN, so their labels mean "
                "nothing; the network's weights are too large for these rows",
                stacklevel=2,
            )
        return self.decide(predicted)

    def predict_proba(self, x: Any, *, resize: bool = False) -> Array:
        """The probability of each class, (N, K), in the order of ``classes``; rows sum to 1.

        Raises:
            DataError: the model predicts numbers, not classes.
        """
        if self.classes is None:
            raise DataError("predict_proba is for classes; this model predicts numbers: predict(x)")
        return self.spread(self._predicted(x, resize))

    def deviation(self, x: Any, *, resize: bool = False) -> Array:
        """The standard deviation of each predicted number, where the loss learns it.

        Args:
            x: rows, as for :meth:`inputs`.
            resize: bring images of another size or mode to the model's.

        Returns:
            Of the shape of :meth:`predict`, in the target's own unit, however targets were scaled.

        Raises:
            DataError: the model was trained with a loss that learns none.
        """
        found = getattr(self.loss, "deviation", None)
        if found is None:
            raise DataError(
                f"deviation is for models trained with GaussianNLL; {type(self.loss).__name__} "
                "learns no deviation"
            )
        values = found(constant(self.outputs(x, resize=resize))).numpy()
        values = values[:, 0] if self.single and values.ndim == 2 else values
        if isinstance(self.target, (NumberTarget, TargetScale)):
            return values.astype(np.float64) * np.asarray(self.target.scale)
        return values

    def _predicted(self, x: Any, resize: bool) -> Array:
        return self.predictions(self.outputs(x, resize=resize))

    def predictions(self, outputs: Array) -> Array:
        """Raw outputs as probabilities or numbers, still in the network's shape and unit."""
        return self.loss.predict(constant(outputs)).numpy()

    def spread(self, predicted: Array) -> Array:
        """Probabilities for every class, (N, K)."""
        if self.loss.kind == "binary" and self.classes is not None:
            second = predicted.reshape(len(predicted))
            return np.stack([1 - second, second], axis=1)
        return predicted

    def decide(self, predicted: Array) -> Array:
        """Labels or values from probabilities or numbers."""
        if self.classes is not None:
            places = np.argmax(self.spread(predicted), axis=1)
            return label_array(self.classes)[places]
        if self.loss.kind == "binary":
            return (predicted >= 0.5).astype(np.int64)
        values = predicted[:, 0] if self.single and predicted.ndim == 2 else predicted
        if isinstance(self.target, (NumberTarget, TargetScale)):
            return self.target.decode(values)
        return values

    def weights(self, *patterns: str) -> dict[str, Array]:
        """Some of the parameters and states by path, to start another network from.

        Args:
            patterns: paths or globs; ``"0"`` is all of the first layer of a Sequential. Without
                any, everything.

        Raises:
            SettingError: a pattern that fits nothing.
        """
        arrays = {**self.parameters, **self.states}
        check_patterns("weights", patterns, arrays)
        return {
            path: value
            for path, value in arrays.items()
            if not patterns or any_selects(patterns, path)
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to one safetensors file; see :func:`thalweg.model.files.save_model`."""
        from thalweg.model.files import save_model

        save_model(self, path)

    def summary(self) -> str:
        """The network's layers, what it predicts, and how it was trained, as text."""
        from thalweg.model.text import describe

        return describe(self)


def load(path: str | os.PathLike[str], network: Network | None = None) -> Model:
    """Read a model that :meth:`Model.save` wrote; see :func:`thalweg.model.files.load_model`."""
    from thalweg.model.files import load_model

    return load_model(path, network)


def label_array(classes: tuple[Label, ...]) -> Array:
    """Class labels as an array to be indexed."""
    if all(isinstance(label, str) for label in classes):
        return np.array(classes, dtype=object)
    return np.array(classes)


def _as_table(x: Any) -> Table:
    if isinstance(x, (str, os.PathLike)):
        from thalweg.data.reading import read_table

        return read_table(cast("str | os.PathLike[str]", x))
    from thalweg.data.frames import table_from_frame
    from thalweg.data.table import Table

    return x if isinstance(x, Table) else table_from_frame(x)


def numeric_rows(
    x: Any, shape: Shape | None = None, name: str = "x", *, missing: bool = False
) -> Array:
    """Rows as a numeric array (N, …) without infinity, and without NaN unless ``missing``.

    Raises:
        DataError: no real numbers, or a value that is not finite, named with row and column.
        ShapeError: no rows' axis, or rows of another shape.
    """
    try:
        array = as_array(x if isinstance(x, (np.ndarray, Tensor)) else np.asarray(x))
    except (GraphError, ShapeError):
        raise
    except ValueError as error:
        raise ShapeError(f"{name} holds rows of different lengths: {error}") from error
    except DTypeError as error:
        raise DataError(f"{name} {_no_numbers(x)}") from error
    if array.ndim < 1 or (shape is not None and array.shape[1:] != shape):
        expected = f"(rows, {', '.join(map(str, shape))})" if shape is not None else "(rows, …)"
        raise ShapeError(f"{name} has shape {array.shape}, expected {expected}")
    if array.dtype.kind == "f":
        _refuse_nonfinite(array, name, missing=missing)
    return array


def _no_numbers(x: Any) -> str:
    """What rows are that are no real numbers, and what to do."""
    if hasattr(x, "toarray"):
        return f"is sparse ({type(x).__name__}); make it dense: x.toarray()"
    array = np.asarray(x)
    if array.dtype.kind == "c":
        return (
            f"holds complex numbers ({array.dtype.name}); give their real and imaginary parts as "
            "columns of their own"
        )
    if array.dtype.kind in "Mm":
        return f"holds dates or times ({array.dtype.name}); give numbers, such as days since a day"
    first = next((item for item in array.ravel().tolist() if not _fits(item)), None)
    shown = " ".join(f"{first!r:.40}".split())
    return (
        f"holds text or mixed types where numbers are due, such as {shown}; encode categories as "
        "numbers, or train from a table (thalweg.fit_table), which does it for you"
    )


def _fits(item: object) -> bool:
    """Whether an element is a number of at most 64 bits."""
    if isinstance(item, int):
        return -(2**63) <= item < 2**64
    return isinstance(item, (float, np.number))


def _refuse_nonfinite(array: Array, name: str, block: int = 2**20, *, missing: bool) -> None:
    rows = max(1, block // max(1, array[:1].size))
    for start in range(0, len(array), rows):
        piece = array[start : start + rows]
        finite = ~np.isinf(piece) if missing else np.isfinite(piece)
        if not finite.all():
            place = np.unravel_index(int(np.argmin(finite)), finite.shape)
            row, rest = int(place[0]) + start, ", ".join(str(int(item)) for item in place[1:])
            value = array[start : start + rows][place]
            column = f", column {rest}" if rest else ""
            remedy = "remove the row or fill the value"
            if np.isnan(value):
                remedy += ", or train with Impute() at the front of the network, which fills it"
            raise DataError(f"{name} holds {value} in row {row}{column} (counted from 0); {remedy}")
