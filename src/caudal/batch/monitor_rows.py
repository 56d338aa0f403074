"""The predictions of a model version for the rows of some windows, with their labels: as published, or made again where a later version has overwritten them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from caudal.batch.monitor_counts import arrow_schema
from caudal.batch.steps.own_fit import Champion, own_fits_if_changed
from caudal.declarations.model import Model
from caudal.declarations.node import Features
from caudal.declarations.signature import PREDICTION, class_names
from caudal.registry import load_version
from caudal.runtime.workspace import Workspace
from caudal.stages.monitor.count import Windowed
from caudal.stages.monitor.performance import WINDOW
from caudal.stages.monitor.windows import DAY_S, start_of_day
from caudal.storage import delta
from caudal.tables.frames import arrow

if TYPE_CHECKING:
    import pandas as pd

CHUNK_ROWS = 300_000


@dataclass(frozen=True)
class PredictedRows:
    """Reads the rows of windows with the predictions of one version.

    Parameters
    ----------
    features : the published features
    predictions : the published predictions of the model, where there are any
    """

    model: Model
    node: Features
    features: delta.Version
    predictions: delta.Version | None
    champion: Champion
    windowed: Windowed
    by: tuple[str, ...]
    refitted: bool

    @property
    def classes(self) -> list[str]:
        """The classes of a classification, sorted; empty for a regression."""
        return [str(name) for name in self.champion.signature["output"]["classes"] or []]

    @property
    def inputs(self) -> list[str]:
        """The inputs of the version."""
        return [field["name"] for field in self.champion.signature["inputs"]]

    def rows(self, starts: Sequence[int]) -> pd.DataFrame | None:
        """Return the rows of windows; None where the version cannot be asked any more, since its features are fitted anew."""
        days = _days(self.features, starts, self.windowed.window_s)
        present = arrow_schema(self.features)
        names = dict.fromkeys((*self.node.key, self.model.label, *self.by, *self.inputs))
        table = arrow(self.features, [name for name in names if name in present], days)
        window, timed = self.windowed.starts(table)
        table = table.append_column(WINDOW, pa.array(window))
        frame = table.filter(pa.array(timed & np.isin(window, starts))).to_pandas()
        if self.model.label not in frame or any(name not in frame for name in self.inputs):
            return None
        if self.model.task == "classification":
            frame[self.model.label] = class_names(frame[self.model.label])
        published = self._published(frame, days)
        if published is not None:
            return published
        return None if self.refitted else frame.join(self.champion.predict(frame))

    def chunks(self, starts: Sequence[int], rows_of: dict[int, int], least: int = 8) -> Iterator[list[int]]:
        """Yield the windows in groups that fit into memory, no more than a quarter of them at a time."""
        most, chunk, rows = max(least, -(-len(starts) // 4)), list[int](), 0
        for start in starts:
            if chunk and (len(chunk) >= most or rows + rows_of.get(start, 0) > CHUNK_ROWS):
                yield chunk
                chunk, rows = [], 0
            chunk.append(start)
            rows += rows_of.get(start, 0)
        if chunk:
            yield chunk

    def _published(self, frame: pd.DataFrame, days: set[str | None] | None) -> pd.DataFrame | None:
        """Return the rows with the published predictions; None where some are missing or by another version."""
        if self.predictions is None or frame.empty:
            return None
        columns = [
            name
            for name in arrow_schema(self.predictions)
            if name in self.node.key or name.startswith((PREDICTION, "probability_"))
        ]
        table = arrow(self.predictions, [*columns, "model_version"], days if self.predictions.partitioned else None).to_pandas()
        table = table[table["model_version"] == self.champion.version].drop(columns="model_version")
        joined = frame.merge(table, on=list(self.node.key), how="left")
        return joined if len(joined) == len(frame) and bool(joined[PREDICTION].notna().all()) else None


def predicted_rows(
    ws: Workspace, model: Model, features: delta.Version, version: int, windowed: Windowed, by: tuple[str, ...]
) -> PredictedRows:
    """Return the reader of a version's predictions."""
    node = ws.product.features_by_model[model.name]
    champion = load_version(
        ws.tables.home,
        ws.record.ledger,
        ws.product.name,
        model.name,
        version,
        spark=lambda: ws.spark.session,
        trust=ws.settings.trust,
    )
    names = [name for name, prediction in ws.product.predictions.items() if prediction.model == model.name]
    published = [delta.read_version(ws.tables.folder(name)) for name in names if ws.tables.version(name) is not None]
    refitted = own_fits_if_changed(ws.tables, node, champion) is not None
    return PredictedRows(model, node, features, published[0] if published else None, champion, windowed, by, refitted)


def _days(version: delta.Version, starts: Sequence[int], window_s: int) -> set[str | None] | None:
    """Return the days that hold rows of some windows; None for all, where the table has no days."""
    if not version.partitioned:
        return None
    return {
        day for day in version.days
        if day is not None and any(start < start_of_day(day) + DAY_S and start_of_day(day) < start + window_s for start in starts)
    }  # fmt: skip
