"""Principal components, exact and in one pass: means and covariances of parts are merged, then one decomposition at the driver.

The merging is that of Chan, Golub & LeVeque 1983, "Algorithms for Computing the Sample Variance", equation 2.1, for matrices. It is
fitted to rows that were published, so a task that runs twice counts once. Each component's largest loading is positive, as
scikit-learn has it, so reruns agree.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from caudal.declarations.build_context import current_build_context
from caudal.errors import DeclarationProblem, StepFailed
from caudal.stages.features.registered import feature
from caudal.storage.place import Place, arrow_paths

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from pyspark.sql import DataFrame

_ROWS = 2048  # multiplied at once
_FAN = 16  # parts that one merges
_SHOWN = 400  # points of the scatter


@dataclass(frozen=True)
class Fitted:
    """Principal components of n rows of d numbers.

    Parameters
    ----------
    mean : float64 [d]
    components : float64 [k, d], of unit length
    variance : float64 [k], that each component explains
    total : float, the variance of all d
    rows : int, n
    network : str, which network the rows come from, where they say
    """

    mean: np.ndarray[Any, Any]
    components: np.ndarray[Any, Any]
    variance: np.ndarray[Any, Any]
    total: float
    rows: int
    network: str = ""

    def transform(self, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return float64 [m, k] for [m, d]."""
        return (values - self.mean) @ self.components.T  # type: ignore[no-any-return]

    @property
    def ratio(self) -> list[float]:
        """The share of the variance that each component explains."""
        return [float(one / self.total) if self.total else 0.0 for one in self.variance]

    def dump(self) -> bytes:
        """Return the bytes of a NumPy archive."""
        import numpy as np

        held = io.BytesIO()
        np.savez(
            held, mean=self.mean, components=self.components, variance=self.variance, total=self.total, rows=self.rows,
            network=np.array(self.network),
        )  # fmt: skip
        return held.getvalue()

    @classmethod
    def load(cls, content: bytes) -> Fitted:
        """Return what was dumped."""
        import numpy as np

        with np.load(io.BytesIO(content), allow_pickle=False) as held:
            return cls(
                held["mean"], held["components"], held["variance"], float(held["total"]), int(held["rows"]), str(held["network"])
            )


@feature
def pca(
    frame: DataFrame,
    column: str,
    *,
    components: int | None = None,
    variance: float | None = None,
    refit: str = "when 10% new",
    prefix: str = "pc",
) -> DataFrame:
    """Return the frame with ``pc_1``, ``pc_2`` … (double) instead of a column of arrays.

    Parameters
    ----------
    frame : DataFrame, one array of numbers a row, all of one length
    components : int, optional, how many; or else ``variance``, the share of the variance that they explain at least
    refit : ``always``, ``never``, or ``when 10% new``: when the number of rows has changed by so much since they were fitted;
        in any case only by a pipeline that trains

    Raises
    ------
    DeclarationProblem : no such column, or no rule for how many
    StepFailed : too few rows, or rows of different networks
    """
    if column not in frame.columns:
        raise DeclarationProblem(
            f"pca is asked for '{column}', and there is no such column.", fix=f"It has {', '.join(frame.columns)}."
        )
    if (
        (components is None) == (variance is None)
        or (components is not None and components < 1)
        or (variance is not None and not 0 < variance <= 1)
    ):
        raise DeclarationProblem(
            "pca is to know how many components to give.", fix="Write components=64, or variance=0.95, one of them."
        )
    limit = _limit(refit)
    made, key = current_build_context(), f"pca:{column}"
    made.asked.add(key)
    known = Fitted.load(made.before[key]) if key in made.before else None
    count = frame.count()
    if count == 0:
        if known is not None:
            made.kept[key] = known.dump()
        return _named(frame, column, components or (len(known.components) if known is not None else 1), prefix)
    network = _network(frame)
    valid = known is not None and known.network == network and len(known.components) == (components or len(known.components))
    due = known is not None and abs(count - known.rows) > limit * known.rows
    again = not valid or known is None or (due and made.fits == "anew")
    if again:
        made.require(known, key)
    elif due and made.fits == "keep":
        made.put_off()
    fitted = fit(frame, column, components=components, variance=variance, network=network) if again or known is None else known
    made.kept[key] = fitted.dump()
    names = [f"{prefix}_{i + 1}" for i in range(len(fitted.components))]
    made.told.append(lambda written: {"pca": {**_told(fitted, again), "points": _points(written, names, frame.columns)}})
    return _transformed(frame, column, fitted, names)


def fit(
    frame: DataFrame, column: str, *, components: int | None = None, variance: float | None = None, network: str = ""
) -> Fitted:
    """Return the principal components of a column of arrays, all that it has unless told."""
    import numpy as np

    from caudal.engine.marks import quoted

    spark = frame.sparkSession
    cores = spark.sparkContext.defaultParallelism
    schema = "part int, rows long, mean binary, scatter binary"
    parts = frame.select(quoted(column)).coalesce(max(1, 2 * cores)).mapInArrow(_moments, schema)
    if 2 * cores > _FAN:  # a tree of two levels: the driver merges the square root of what there is
        parts = parts.groupBy(f"part % {math.isqrt(2 * cores)} AS part").applyInArrow(_merged, schema)
    found = [(row["part"], (row["rows"], np.frombuffer(row["mean"]), np.frombuffer(row["scatter"]))) for row in parts.collect()]
    if not found:
        raise StepFailed("pca has no rows to be fitted to.", fix="See what is in the features' quarantine.")
    rows, mean, scatter = _joined([moments for _, moments in sorted(found, key=lambda one: one[0])])
    if rows < 2 or (components or 1) > min(rows, len(mean)):
        raise StepFailed(
            f"pca is asked for {components or 'any number of'} components of {rows:,} rows with {len(mean):,} numbers.",
            fix="Ask for no more than there are of either, of two rows at least.",
        )
    values, vectors = np.linalg.eigh(scatter.reshape(len(mean), -1) / (rows - 1))
    values, vectors = np.maximum(values[::-1], 0.0), vectors.T[::-1]
    total = float(values.sum())
    if components is None:
        reached = np.searchsorted(np.cumsum(values) / total, min(variance or 1.0, 1.0) - 1e-12) if total else 0
        components = int(min(reached + 1, len(values), rows))
    chosen = vectors[:components]
    largest = chosen[np.arange(len(chosen)), np.abs(chosen).argmax(axis=1)]
    chosen = chosen * np.where(largest < 0, -1.0, 1.0)[:, None]
    return Fitted(mean.copy(), np.ascontiguousarray(chosen), values[:components].copy(), total, rows, network)


Moments = tuple[int, "np.ndarray[Any, Any]", "np.ndarray[Any, Any]"]  # rows, mean [d], scatter [d·d]


def _moments(pieces: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Give count, mean and scatter of one partition's rows."""
    from pyspark import TaskContext

    whole: Moments | None = None
    for piece in pieces:
        values = _matrix(piece.column(0))
        for start in range(0, len(values), _ROWS):
            some = values[start : start + _ROWS]
            mean = some.mean(axis=0)
            off = some - mean
            one = (len(some), mean, (off.T @ off).reshape(-1))
            whole = one if whole is None else _joined([whole, one])
    if whole is not None:
        context = TaskContext.get()
        yield _as_batch(context.partitionId() if context else 0, whole)


def _merged(table: pa.Table) -> pa.Table:
    import numpy as np
    import pyarrow as pa

    rows = sorted(table.to_pylist(), key=lambda row: row["part"])
    whole = _joined([(row["rows"], np.frombuffer(row["mean"]), np.frombuffer(row["scatter"])) for row in rows])
    return pa.Table.from_batches([_as_batch(rows[0]["part"], whole)])


def _joined(parts: list[Moments]) -> Moments:
    import numpy as np

    rows, mean, scatter = parts[0]
    for more, other, spread in parts[1:]:
        both, off = rows + more, other - mean
        scatter = scatter + spread + (np.outer(off, off) * (rows * more / both)).reshape(-1)
        rows, mean = both, mean + off * (more / both)
    return rows, mean, scatter


def _as_batch(part: int, moments: Moments) -> pa.RecordBatch:
    import pyarrow as pa

    rows, mean, scatter = moments
    arrays = [pa.array([part], pa.int32()), pa.array([rows]), pa.array([mean.tobytes()]), pa.array([scatter.tobytes()])]
    return pa.RecordBatch.from_arrays(arrays, ["part", "rows", "mean", "scatter"])


def _matrix(column: pa.Array) -> np.ndarray[Any, Any]:
    """Return float64 [n, d] from a column of arrays; nulls are left out."""
    import numpy as np

    known = column.drop_null()
    flat = np.asarray(known.flatten(), dtype=np.float64)
    return flat.reshape(len(known), -1) if len(known) else np.zeros((0, 0))


def _transformed(frame: DataFrame, column: str, fitted: Fitted, names: list[str]) -> DataFrame:
    from pyspark.sql.types import DoubleType, StructField, StructType

    from caudal.engine.marks import quoted

    carried = [name for name in frame.columns if name != column]
    shared = frame.sparkSession.sparkContext.broadcast(fitted)

    def work(pieces: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import numpy as np
        import pyarrow as pa

        for piece in pieces:
            reduced = np.ascontiguousarray(shared.value.transform(_matrix(piece.column(column))).T)
            columns = [*(piece.column(name) for name in carried), *(pa.array(one) for one in reduced)]
            yield pa.RecordBatch.from_arrays(columns, [*carried, *names])

    rows = frame.where(f"{quoted(column)} IS NOT NULL").select(*(quoted(name) for name in [*carried, column]))
    added = [StructField(name, DoubleType()) for name in names]
    return rows.mapInArrow(work, StructType([*frame.select(*(quoted(name) for name in carried)).schema.fields, *added]))


def _named(frame: DataFrame, column: str, components: int, prefix: str) -> DataFrame:
    """Return a frame without rows with the columns that it would have."""
    from pyspark.sql import functions as F

    nothing = F.lit(None).cast("double")
    return frame.drop(column).withColumns({f"{prefix}_{i + 1}": nothing for i in range(components)})


def _network(frame: DataFrame) -> str:
    if "network" not in frame.columns:
        return ""
    found = [row["network"] for row in frame.select("network").distinct().collect()]
    if len(found) > 1:
        raise StepFailed(
            f"The features come from {len(found)} networks or sizes: {', '.join(sorted(map(str, found)))}.",
            fix="Make all of them anew: raise the memory, or declare the smaller size.",
        )
    return str(found[0])


def _limit(refit: str) -> float:
    """Return the share of new rows from which on components are fitted again."""
    if refit in ("always", "never"):
        return -1.0 if refit == "always" else math.inf
    found = re.fullmatch(r"when (\d+(?:\.\d+)?)% new", refit)
    if found is None:
        raise DeclarationProblem(f"pca is to be fitted again '{refit}'.", fix="Write always, never, or when 10% new.")
    return float(found.group(1)) / 100


def _told(fitted: Fitted, again: bool) -> Mapping[str, Any]:
    explained = sum(fitted.ratio)
    said = f"{len(fitted.components)} of {len(fitted.mean):,} components explain {explained:.1%} of the variance"
    how = f"fitted to {fitted.rows:,} rows" if again else f"as fitted to {fitted.rows:,} rows before"
    return {"ratio": [round(one, 6) for one in fitted.ratio], "said": f"{said}; {how}.", "rows": fitted.rows, "fitted": again}


def _points(written: Place, names: list[str], columns: list[str]) -> list[list[Any]]:
    """Return some of the written rows in the plane of the first two components, with their labels."""
    import pyarrow.dataset as ds

    if len(names) < 2 or not written.is_dir():
        return []
    label = [name for name in ("label",) if name in columns]
    files, system = arrow_paths([str(file) for file in sorted(written.rglob("*.parquet"), key=str)])
    table = ds.dataset(files, format="parquet", filesystem=system).to_table(columns=[*names[:2], *label])
    step = max(1, table.num_rows // _SHOWN)
    rows = table.take(list(range(0, table.num_rows, step))).to_pydict()
    labels = rows.get("label", [""] * len(rows[names[0]]))
    return [[round(x, 4), round(y, 4), label] for x, y, label in zip(rows[names[0]], rows[names[1]], labels, strict=True)]
