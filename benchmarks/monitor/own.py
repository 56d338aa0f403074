"""Alarms of caudal with its defaults, by the functions that the step of a run calls."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from benchmarks.monitor.series import WINDOW
from caudal.stages.monitor.count import Counter, Windowed
from caudal.stages.monitor.watch import Regime, drift_series, judged


def alarms(rows: pd.DataFrame, reference: int, patience: int = 2, state: str = "alarm") -> list[bool]:
    """Return for each window after the reference whether any figure of a column is in alarm."""
    columns = [name for name in rows if name != WINDOW]
    table = pa.Table.from_pandas(
        rows[columns].assign(at=rows[WINDOW].to_numpy() * np.timedelta64(86_400, "s") + np.datetime64(0, "s")), preserve_index=False
    )
    counter = Counter(columns, Windowed("at", 86_400, "UTC"))
    for batch in table.to_batches():
        counter.add(batch)
    windows = {start // 86_400: counts for start, counts in counter.result().items()}
    regime = Regime(1, tuple(range(reference)), tuple(range(reference, max(windows) + 1)))
    series = judged(drift_series(columns, windows, regime, ("psi", "superiority"), {}, patience), 0.05)
    by_series = [[verdict.state == state for verdict in entry.verdicts] for entry in series]
    return [any(states) for states in zip(*by_series, strict=True)]
