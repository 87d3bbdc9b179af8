"""The errors that thalweg raises: one class for each family.

Every message says what was expected, what came, where, and what to try. ``exit_code`` is what the
command line returns: 2 where the call was wrong, 1 where the work failed.
"""

from typing import Any


class ThalwegError(Exception):
    """Any error that thalweg raises on purpose."""

    exit_code = 1


class ShapeError(ThalwegError, ValueError):
    """Arrays or tensors whose shapes do not fit together."""


class DTypeError(ThalwegError, TypeError):
    """A value whose data type the operation does not take."""


class GraphError(ThalwegError, ValueError):
    """A graph that breaks its own rules, or a tensor used outside its graph."""


class CompileError(ThalwegError, RuntimeError):
    """A program that LLVM refuses: a fault of this library, to be reported with the message."""


class SettingError(ThalwegError, ValueError):
    """A hyperparameter or option outside its allowed range or choices."""

    exit_code = 2


class DataError(ThalwegError, ValueError):
    """Data that cannot be learned from or predicted on: names column, row and remedy."""


class ColumnError(DataError):
    """A column that was asked for and is not there."""

    exit_code = 2


class FileError(ThalwegError, ValueError):
    """A file that is damaged, hostile, of another format, or cannot be read or written.

    Attributes:
        run: what was learned, where a checkpoint could not be written while training.
    """

    run: Any = None


class DescriptionError(ThalwegError, ValueError):
    """A description (layer, loss, optimiser, ...) that cannot be turned to or from JSON."""


class UnknownNameError(DescriptionError):
    """A name that no registry holds: that of a class of the user's own, or of a newer version."""


class NonFiniteError(ThalwegError, ArithmeticError):
    """Training met NaN or infinity; the message names step, layer, direction and a cause.

    Attributes:
        run: what was learned up to the last finite update.
    """

    run: Any = None


class GradientError(ThalwegError, AssertionError):
    """A derivative that disagrees with the difference quotient."""
