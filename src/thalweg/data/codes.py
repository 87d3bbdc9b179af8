"""Categories as whole numbers, for networks that learn a vector for each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thalweg.data.encoders import Block, CategoryEncoder
from thalweg.data.kinds import Column
from thalweg.data.table import Table
from thalweg.descriptions import Plain

MAX_CODES = 1000
"""Most categories of one column that get a number of their own; rarer ones share one."""


@dataclass(frozen=True)
class CodeEncoder:
    """One input that holds the number of the row's category.

    0 is for what training did not have; then come the categories, sorted; then one number for
    missing cells and one for rare categories, where training had some.
    """

    categories: CategoryEncoder

    @classmethod
    def fit(cls, table: Table, column: Column) -> CodeEncoder:
        """The categories over all rows of the table, the most common 1000 of them."""
        return cls(CategoryEncoder.fit(table, column, MAX_CODES))

    @property
    def name(self) -> str:
        """The column's name."""
        return self.categories.name

    @property
    def features(self) -> tuple[str, ...]:
        """The name of the input."""
        return (f"{self.name} (category)",)

    @property
    def count(self) -> int:
        """How many numbers there are, 0 among them."""
        return len(self.categories.features) + 1

    def transform(self, table: Table) -> Block:
        """The numbers, of shape (rows, 1)."""
        places, notes = self.categories.places(table)
        codes = np.where(places == len(self.categories.features), 0, places + 1)
        return codes.astype(np.float32)[:, None], notes

    def to_plain(self) -> dict[str, Plain]:
        """The encoder as JSON data."""
        return {**self.categories.to_plain(), "type": "code"}

    @classmethod
    def from_plain(cls, plain: Plain, where: str) -> CodeEncoder:
        """The encoder that JSON data describes.

        Raises:
            DescriptionError: anything missing, unknown or of the wrong type.
        """
        return cls(CategoryEncoder.from_plain(plain, where))


__all__ = ["MAX_CODES", "CodeEncoder"]
