"""Principal components, exact and in one pass: means and covariances of parts are merged, then decomposed once at the driver.

The merging is that of Chan, Golub & LeVeque 1983, "Algorithms for Computing the Sample Variance", equation 2.1, for matrices. The
components are fitted to published rows, so a task that runs twice counts once. Each component's largest loading is positive, as in
scikit-learn, so reruns agree.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
from pyspark import TaskContext
from pyspark.sql import functions as F
from pyspark.sql.types import DoubleType, StructField, StructType

from caudal.declarations.build_context import current_build_context
from caudal.engine.capability import Capability
from caudal.engine.choice import session_engine
from caudal.engine.marks import quoted
from caudal.engine.protocol import require_capability
from caudal.errors import DeclarationProblem, StepFailed
from caudal.stages.features.registered import feature
from caudal.storage.place import Place, arrow_paths

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pyspark.sql import DataFrame

_ROWS = 2048  # rows multiplied at once
_MERGED_AT_ONCE = 16  # parts that one task merges
_SHOWN = 400  # points shown in the scatter plot


@dataclass(frozen=True)
class PrincipalComponents:
    """Principal components of n rows of d numbers.

    Parameters
    ----------
    mean : float64 [d]
    components : float64 [k, d], of unit length
    variance : float64 [k], that each component explains
    total : float, the variance of all d
    rows : int, n
    network : str, the network that the rows come from; empty where they have no such column
    """

    mean: NDArray[np.float64]
    components: NDArray[np.float64]
    variance: NDArray[np.float64]
    total: float
    rows: int
    network: str = ""

    def transform(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return float64 [m, k] for [m, d]."""
        return (values - self.mean) @ self.components.T

    @property
    def ratio(self) -> list[float]:
        """Return the share of the variance that each component explains."""
        return [float(variance / self.total) if self.total else 0.0 for variance in self.variance]

    def dump(self) -> bytes:
        """Return the bytes of a NumPy archive."""
        archive = io.BytesIO()
        np.savez(
            archive, mean=self.mean, components=self.components, variance=self.variance, total=self.total, rows=self.rows,
            network=np.array(self.network),
        )  # fmt: skip
        return archive.getvalue()

    @classmethod
    def load(cls, content: bytes) -> PrincipalComponents:
        """Return the components from the bytes of `dump`."""
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            return cls(
                archive["mean"],
                archive["components"],
                archive["variance"],
                float(archive["total"]),
                int(archive["rows"]),
                str(archive["network"]),
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
    frame : DataFrame, one array of numbers a row, all of the same length
    components : int, optional, how many; instead of it ``variance``, the least share of the variance that they explain
    refit : ``always``, ``never``, or ``when 10% new``: when the number of rows has changed by more than this share since the last fit;
        in any case only a pipeline that trains fits again

    Raises
    ------
    DeclarationProblem : no such column, or not exactly one rule for how many components
    StepFailed : too few rows, or rows of different networks
    """
    if column not in frame.columns:
        raise DeclarationProblem(
            f"pca got the column '{column}', and there is no such column.", fix=f"It has {', '.join(frame.columns)}."
        )
    if (
        (components is None) == (variance is None)
        or (components is not None and components < 1)
        or (variance is not None and not 0 < variance <= 1)
    ):
        raise DeclarationProblem("pca needs exactly one of components and variance.", fix="Pass components=64 or variance=0.95.")
    limit = _refit_share(refit)
    context, key = current_build_context(), f"pca:{column}"
    context.fit_names.add(key)
    earlier = PrincipalComponents.load(context.before[key]) if key in context.before else None
    count = frame.count()
    if count == 0:
        if earlier is not None:
            context.kept[key] = earlier.dump()
        return _empty_result(frame, column, components or (len(earlier.components) if earlier is not None else 1), prefix)
    network = _network(frame)
    valid = (
        earlier is not None and earlier.network == network and len(earlier.components) == (components or len(earlier.components))
    )
    grown = earlier is not None and abs(count - earlier.rows) > limit * earlier.rows
    fit_again = not valid or earlier is None or (grown and context.fits == "anew")
    if fit_again:
        context.require(earlier, key)
    elif grown and context.fits == "keep":
        context.put_off()
    fitted = (
        fit(frame, column, components=components, variance=variance, network=network) if fit_again or earlier is None else earlier
    )
    context.kept[key] = fitted.dump()
    names = [f"{prefix}_{i + 1}" for i in range(len(fitted.components))]
    context.note_functions.append(
        lambda written: {"pca": {**_summary(fitted, fit_again), "points": _points(written, names, frame.columns)}}
    )
    return _transform_frame(frame, column, fitted, names)


def fit(
    frame: DataFrame, column: str, *, components: int | None = None, variance: float | None = None, network: str = ""
) -> PrincipalComponents:
    """Return the principal components of a column of arrays; by default all of them."""
    spark = frame.sparkSession
    require_capability(session_engine(spark), Capability.SHARED_VARIABLES, "pca")  # other tasks would give other last digits, too
    cores = spark.sparkContext.defaultParallelism
    schema = "part int, rows long, mean binary, scatter binary"
    parts = frame.select(quoted(column)).coalesce(max(1, 2 * cores)).mapInArrow(_moments_of_partition, schema)
    if 2 * cores > _MERGED_AT_ONCE:  # a tree of two levels: the driver merges only the square root of the number of parts
        parts = parts.groupBy(f"part % {math.isqrt(2 * cores)} AS part").applyInArrow(_merge_tables, schema)
    moments_by_part = [
        (row["part"], (row["rows"], np.frombuffer(row["mean"]), np.frombuffer(row["scatter"]))) for row in parts.collect()
    ]
    if not moments_by_part:
        raise StepFailed("pca has no rows to fit.", fix="Look into the features' quarantine.")
    rows, mean, scatter = _merge_moments([moments for _, moments in sorted(moments_by_part, key=lambda part: part[0])])
    if rows < 2 or (components or 1) > min(rows, len(mean)):
        raise StepFailed(
            f"pca cannot fit {components or 'any'} components to {rows:,} rows with {len(mean):,} numbers.",
            fix="The number of components is at most that of the rows and of the numbers; at least two rows are needed.",
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
    return PrincipalComponents(mean.copy(), np.ascontiguousarray(chosen), values[:components].copy(), total, rows, network)


Moments = tuple[int, "NDArray[np.float64]", "NDArray[np.float64]"]  # rows, mean [d], scatter [d·d]


def _moments_of_partition(pieces: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield count, mean and scatter of one partition's rows."""
    total: Moments | None = None
    for piece in pieces:
        values = _matrix(piece.column(0))
        for start in range(0, len(values), _ROWS):
            chunk = values[start : start + _ROWS]
            mean = chunk.mean(axis=0)
            centred = chunk - mean
            moments = (len(chunk), mean, (centred.T @ centred).reshape(-1))
            total = moments if total is None else _merge_moments([total, moments])
    if total is not None:
        context = TaskContext.get()
        yield _as_batch(context.partitionId() if context else 0, total)


def _merge_tables(table: pa.Table) -> pa.Table:
    rows = sorted(table.to_pylist(), key=lambda row: row["part"])
    total = _merge_moments([(row["rows"], np.frombuffer(row["mean"]), np.frombuffer(row["scatter"])) for row in rows])
    return pa.Table.from_batches([_as_batch(rows[0]["part"], total)])


def _merge_moments(parts: list[Moments]) -> Moments:
    rows, mean, scatter = parts[0]
    for other_rows, other_mean, other_scatter in parts[1:]:
        total, shift = rows + other_rows, other_mean - mean
        scatter = scatter + other_scatter + (np.outer(shift, shift) * (rows * other_rows / total)).reshape(-1)
        rows, mean = total, mean + shift * (other_rows / total)
    return rows, mean, scatter


def _as_batch(part: int, moments: Moments) -> pa.RecordBatch:
    rows, mean, scatter = moments
    arrays = [pa.array([part], pa.int32()), pa.array([rows]), pa.array([mean.tobytes()]), pa.array([scatter.tobytes()])]
    return pa.RecordBatch.from_arrays(arrays, ["part", "rows", "mean", "scatter"])


def _matrix(column: pa.Array) -> NDArray[np.float64]:
    """Return float64 [n, d] from a column of arrays; nulls are left out."""
    vectors = column.drop_null()
    flat = np.asarray(vectors.flatten(), dtype=np.float64)
    return flat.reshape(len(vectors), -1) if len(vectors) else np.zeros((0, 0))


def _transform_frame(frame: DataFrame, column: str, fitted: PrincipalComponents, names: list[str]) -> DataFrame:
    carried = [name for name in frame.columns if name != column]
    require_capability(session_engine(frame.sparkSession), Capability.SHARED_VARIABLES, "pca")
    shared = frame.sparkSession.sparkContext.broadcast(fitted)

    def transform_pieces(pieces: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for piece in pieces:
            reduced = np.ascontiguousarray(shared.value.transform(_matrix(piece.column(column))).T)
            columns = [*(piece.column(name) for name in carried), *(pa.array(component) for component in reduced)]
            yield pa.RecordBatch.from_arrays(columns, [*carried, *names])

    rows = frame.where(f"{quoted(column)} IS NOT NULL").select(*(quoted(name) for name in [*carried, column]))
    added = [StructField(name, DoubleType()) for name in names]
    return rows.mapInArrow(transform_pieces, StructType([*frame.select(*(quoted(name) for name in carried)).schema.fields, *added]))


def _empty_result(frame: DataFrame, column: str, components: int, prefix: str) -> DataFrame:
    """Return a frame without rows that has the columns of the result."""
    null = F.lit(None).cast("double")
    return frame.drop(column).withColumns({f"{prefix}_{i + 1}": null for i in range(components)})


def _network(frame: DataFrame) -> str:
    if "network" not in frame.columns:
        return ""
    networks = [row["network"] for row in frame.select("network").distinct().collect()]
    if len(networks) > 1:
        raise StepFailed(
            f"The features come from {len(networks)} networks or sizes: {', '.join(sorted(map(str, networks)))}.",
            fix="Compute all of them again: raise the memory, or declare the smaller size.",
        )
    return str(networks[0])


def _refit_share(refit: str) -> float:
    """Return the share of new rows above which components are fitted again."""
    if refit in ("always", "never"):
        return -1.0 if refit == "always" else math.inf
    match = re.fullmatch(r"when (\d+(?:\.\d+)?)% new", refit)
    if match is None:
        raise DeclarationProblem(f"pca got refit='{refit}'.", fix="Pass always, never, or when 10% new.")
    return float(match.group(1)) / 100


def _summary(fitted: PrincipalComponents, fit_again: bool) -> Mapping[str, object]:
    explained = sum(fitted.ratio)
    explanation = f"{len(fitted.components)} of {len(fitted.mean):,} components explain {explained:.1%} of the variance"
    fit_text = f"fitted to {fitted.rows:,} rows" if fit_again else f"as fitted to {fitted.rows:,} rows before"
    return {
        "ratio": [round(share, 6) for share in fitted.ratio],
        "said": f"{explanation}; {fit_text}.",
        "rows": fitted.rows,
        "fitted": fit_again,
    }


def _points(written: Place, names: list[str], columns: list[str]) -> list[list[float | str]]:
    """Return some of the written rows in the plane of the first two components, with their labels."""
    if len(names) < 2 or not written.is_dir():
        return []
    label = [name for name in ("label",) if name in columns]
    files, system = arrow_paths([str(file) for file in sorted(written.rglob("*.parquet"), key=str)])
    table = ds.dataset(files, format="parquet", filesystem=system).to_table(columns=[*names[:2], *label])
    step = max(1, table.num_rows // _SHOWN)
    rows = table.take(list(range(0, table.num_rows, step))).to_pydict()
    labels = rows.get("label", [""] * len(rows[names[0]]))
    return [[round(x, 4), round(y, 4), label] for x, y, label in zip(rows[names[0]], rows[names[1]], labels, strict=True)]
