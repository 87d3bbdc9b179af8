"""The space that is searched where the user gives none, as the text of its file."""

from __future__ import annotations

from thalweg.data.table import plural

_TEXT = """\
# The space of a search over networks for a table{rows}.
# Edit it, and give it to a search with --space.
#
# A list holds values to choose from; low and high are the ends of a range, of whole numbers where
# both are whole; log = true spreads it by ratios; anything else is the same for all trials.
# Other names: hidden (as in ["64", "64,32"]), initialiser, clip, average, augment, accumulate, …
# A number inside a description goes by its path, as in "optimizer.beta1".

depth = {{low = 1, high = 3}}  # hidden layers
width = [32, 64, 128, 256]  # units of each
activation = ["relu", "gelu", "tanh"]
normalise = ["none", "batch_norm"]
dropout = {{low = 0.0, high = 0.5}}
optimizer = ["adam", "nesterov"]
learning_rate = "cosine(0.01)"  # falls to 0 along half a cosine
"learning_rate.initial" = {{low = 3e-4, high = 3e-2, log = true}}
penalty = {{low = 1e-6, high = 1e-2, log = true}}  # factor of the L2 penalty
batch_size = [{sizes}]
"""


def default_space_text(rows: int) -> str:
    """The text of a ``space.toml`` for so many training rows.

    >>> print(default_space_text(1000).splitlines()[-1])
    batch_size = [16, 32, 64]
    """
    least = 16 if rows < 6400 else 32 if rows < 25_600 else 64
    sizes = [size for size in (least, 2 * least, 4 * least) if size <= max(rows // 4, 1)]
    shown = ", ".join(map(str, sizes or [max(rows, 1)]))
    return _TEXT.format(rows=f" with {plural(rows, 'training row')}", sizes=shown)


__all__ = ["default_space_text"]
