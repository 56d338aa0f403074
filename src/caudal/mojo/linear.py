"""The linear models of GLM: coefficients of categories, then of numbers, then the intercept, added in this order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from caudal.mojo.archive import Archive


@dataclass(frozen=True)
class Linear:
    """Coefficients for each class, or one row of them.

    Parameters
    ----------
    coefficients : float64 [classes, terms + 1], the intercept last
    offsets : where the coefficients of each category column begin, and where those of numbers do
    modes, means : what missing values are filled with
    fills : whether they are; a row with a missing value has no prediction otherwise
    skips_first : whether the first category of a column has no coefficient
    """

    coefficients: NDArray[np.float64]
    offsets: tuple[int, ...]
    modes: tuple[int, ...]
    means: tuple[float, ...]
    fills: bool
    skips_first: bool

    @classmethod
    def of(cls, archive: Archive, classes: int) -> Linear:
        """Return the coefficients of an archive, for as many classes."""
        coefficients = archive.numbers("beta")
        assert coefficients is not None
        means = archive.numbers("num_means")
        return cls(
            coefficients.reshape(classes, -1),
            tuple(archive.whole_numbers("cat_offsets")) or (0,),
            tuple(archive.whole_numbers("cat_modes")),
            () if means is None else tuple(means.tolist()),
            archive.flag("mean_imputation"),
            not archive.flag("use_all_factor_levels"),
        )

    def sums(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sum of each class's terms for each row, float64 [n, classes]."""
        categories = len(self.offsets) - 1
        if self.fills:
            filling = np.asarray([*self.modes[:categories], *self.means[: rows.shape[1] - categories]], "float64")
            rows = np.where(np.isnan(rows), filling, rows)
        unknown = np.isnan(rows).any(axis=1)
        rows = np.where(np.isnan(rows), 0.0, rows)
        terms = np.zeros((len(rows), len(self.coefficients), rows.shape[1] + 1))
        for column in range(categories):
            place = rows[:, column].astype("int64") - self.skips_first
            at = place + self.offsets[column]
            known = (place >= 0) & (at < self.offsets[column + 1])
            terms[:, :, column] = np.where(known[:, None], self.coefficients[:, np.where(known, at, 0)].T, 0.0)
        numbers = self.coefficients[:, self.offsets[-1] : -1]
        terms[:, :, categories:-1] = numbers[None] * rows[:, None, categories:]
        terms[:, :, -1] = self.coefficients[:, -1]
        summed: NDArray[np.float64] = np.add.accumulate(terms, axis=2)[:, :, -1]
        summed[unknown] = np.nan
        return summed
