"""Whether an hour table has the rows of caudal's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

KEY = ["shop", "window_start"]


def hours(file: Path) -> pd.DataFrame:
    """Return the rows of an hour table: shop, window_start, visitors, celsius; sorted by key."""
    rows = pd.read_csv(file, parse_dates=["window_start"])[[*KEY, "visitors", "celsius"]]
    return rows.sort_values(KEY, ignore_index=True)


def difference(rows: pd.DataFrame, truth: pd.DataFrame) -> str | None:
    """Return what differs, None where nothing does; temperatures are means, summed in any order."""
    if len(rows) != len(truth):
        return f"{len(rows):,} hours instead of {len(truth):,}"
    for column in (*KEY, "visitors"):
        if not (rows[column].to_numpy() == truth[column].to_numpy()).all():
            return f"other values in '{column}'"
    if not np.allclose(rows["celsius"], truth["celsius"], rtol=0, atol=1e-9, equal_nan=True):
        return "other values in 'celsius'"
    return None
