"""The last rows of a stream, in one array of fixed size."""

from __future__ import annotations

import numpy as np


class Ring:
    """The last ``size`` rows, unordered; `ordered` returns them in order.

    Parameters
    ----------
    size : int, rows kept
    shape : shape of a row
    """

    def __init__(self, size: int, shape: tuple[int, ...] = ()) -> None:
        self.rows = np.zeros((size, *shape))
        self.seen = 0

    def __len__(self) -> int:
        return min(self.seen, len(self.rows))

    @property
    def filled(self) -> np.ndarray:
        """Return the filled rows, as a view."""
        return self.rows[: len(self)]

    @property
    def place(self) -> int:
        """Return the position of the next row."""
        return self.seen % len(self.rows)

    def add(self, row: np.ndarray | float) -> None:
        """Add a row; it replaces the oldest when all are filled."""
        self.rows[self.place] = row
        self.seen += 1

    def ordered(self) -> np.ndarray:
        """Return the rows from the oldest to the newest, as a copy."""
        return np.roll(self.rows, -self.place, axis=0) if self.seen > len(self.rows) else self.filled.copy()
