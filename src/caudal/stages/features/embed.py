"""Images → features by a CNN, in Spark's Python workers; the network is sent once to an executor and loaded once by a worker."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from caudal.declarations.build_context import current_build_context
from caudal.declarations.images import MAX_PIXELS, Network
from caudal.engine.settings import is_local, usable_memory
from caudal.errors import DeclarationProblem, EnvironmentProblem
from caudal.stages.features.registered import feature
from caudal.stages.images import decode, memory
from caudal.stages.images.network import Model, model as model_of, session

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

CONTENT = "content"
KEPT = "embed"  # how what is kept with the table is named, before the column
# Reading and handing over are Spark's part; what lies between is the worker's.
PARTS = ("load", "read", "decode", "resize", "infer", "write")


@feature
def embed(
    images: DataFrame,
    *,
    network: Network,
    size: int = 224,
    floor: int = 160,
    batch: int | Literal["auto"] = "auto",
    max_pixels: int = MAX_PIXELS,
    into: str = "embedding",
    content: str = CONTENT,
) -> DataFrame:
    """Return the images without their bytes, with their features: ``embedding`` (array of float) and ``network``.

    An image that cannot be decoded goes to the table's quarantine with its reason.

    Parameters
    ----------
    images : DataFrame, one row per image, its bytes in ``content``
    network : what `caudal.network` gives
    size : int, pixels of a side, a multiple of 32
    floor : int, the smallest size that may be chosen where memory is short
    batch : int, images that go through the network together; lowered where memory is short
    max_pixels : int, of an image that is decoded; less where memory is short

    Raises
    ------
    DeclarationProblem : there is no such column, or the size is none that networks take
    EnvironmentProblem : the memory does not do for one image, or the libraries of ``caudal[images]`` are missing
    """
    from pyspark.sql.types import ArrayType, FloatType, StringType, StructField, StructType

    if content not in images.columns:
        raise DeclarationProblem(
            f"embed is asked for images in '{content}', and there is no such column.", fix=f"It has {', '.join(images.columns)}."
        )
    if size % memory.STEP or floor % memory.STEP or not 0 < floor <= size:
        raise DeclarationProblem(
            f"embed is asked for {size} px, and for no less than {floor}.",
            fix=f"Both are multiples of {memory.STEP}, and the floor is not the larger.",
        )
    chosen, spark = model_of(network), images.sparkSession
    workers, room = _room(spark)
    plan = memory.plan(
        memory=room, workers=workers, model=len(chosen.content), side=size, floor=floor,
        batch=None if batch == "auto" else batch, largest=max_pixels,
        beside=memory.WRITER if is_local(str(spark.sparkContext.master)) else 0,
    )  # fmt: skip
    made = current_build_context()
    made.settings.update(
        {
            # Many tasks, so that no core waits for the last one; small pieces, so that memory stays flat.
            "spark.sql.files.maxPartitionBytes": "16m",
            "spark.sql.files.openCostInBytes": "65536",
            "spark.sql.files.minPartitionNum": str(6 * workers),
            "spark.sql.execution.arrow.maxBytesPerBatch": str(plan.piece),
            "spark.sql.execution.arrow.maxRecordsPerBatch": "512",
        }
    )
    spent = _Spent(spark)
    made.kept[f"{KEPT}:{into}"] = json.dumps({**asdict(network), "side": plan.side, "model": chosen.sha256}).encode()
    made.told.append(lambda _: {"embedding": {**spent.shares(), "plan": list(plan.said), "network": _key(chosen, plan)}})
    carried = [name for name in images.columns if name not in (content, "_format_errors", "_raw")]
    schema = StructType(
        [
            *images.select(*_quoted(carried)).schema.fields,
            StructField("network", StringType()),
            StructField(into, ArrayType(FloatType())),
            StructField("_format_errors", ArrayType(StringType())),
            StructField("_raw", StringType()),
        ]
    )
    work = _worker(spark.sparkContext.broadcast(chosen), plan, carried, content, into, spent.accumulator)
    return images.select(*_quoted([*carried, content])).mapInArrow(work, schema)


def embedded(content: bytes, network: Network, side: int, max_pixels: int = MAX_PIXELS) -> np.ndarray[Any, Any]:
    """Return the features of one image, float32 [d], prepared and computed as those of a table are.

    Raises
    ------
    Unfit : it is no image, or none that can be decoded
    """
    return _session(model_of(network))(decode.pixels(content, side, max_pixels)[None])[0]  # type: ignore[no-any-return]


def network_of(said: bytes) -> tuple[Network, int]:
    """Return the network and the size that a table was made with, from what was kept with it.

    Raises
    ------
    EnvironmentProblem : the network has been changed since, or is not there
    """
    told: dict[str, Any] = json.loads(said)
    side, model = told.pop("side"), told.pop("model")
    told |= {name: tuple(told[name]) for name in ("mean", "std")}
    network = Network(**told)
    if (network.sha256 is not None and not Path(network.name).is_file()) or model_of(network).sha256 != model:
        raise EnvironmentProblem(
            f"The network '{network.name}' is not the one that the features were made with.", fix="Run the product again."
        )
    return network, int(side)


def _key(model: Model, plan: memory.Plan) -> str:
    return f"{model.name}@{model.sha256[:12]}/{plan.side}"


def _worker(
    shared: Any, plan: memory.Plan, carried: list[str], content: str, into: str, spent: Any
) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    """Return what a Python worker does with the pieces that it is given."""

    def work(pieces: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        took, began = dict.fromkeys(PARTS, 0.0), time.perf_counter()
        model: Model = shared.value
        run, key = _session(model), _key(model, plan)
        took["load"] = time.perf_counter() - began
        images, before = 0, time.perf_counter()
        for piece in pieces:
            took["read"] += time.perf_counter() - before
            vectors, faults = _embedded(piece.column(content), run, plan, took)
            images += len(faults)
            raw = [None if fault is None else _raw(piece, row, content) for row, fault in enumerate(faults)]
            errors = pa.array([None if fault is None else [f"image {fault}"] for fault in faults], pa.list_(pa.string()))
            columns = [piece.column(name) for name in carried]
            columns += [pa.array([key] * len(faults)), vectors, errors, pa.array(raw, pa.string())]
            before = time.perf_counter()
            yield pa.RecordBatch.from_arrays(columns, [*carried, "network", into, "_format_errors", "_raw"])
            took["write"] += time.perf_counter() - before
            before = time.perf_counter()
        spent.add({**took, "images": images, "tasks": 1})

    return work


def _embedded(column: pa.Array, run: Any, plan: memory.Plan, took: dict[str, float]) -> tuple[pa.Array, list[str | None]]:
    """Return the features of a piece's images, null where there are none, and why not."""
    import numpy as np
    import pyarrow as pa

    faults: list[str | None] = []
    held: list[Any] = []
    found: list[Any] = []

    def through() -> None:
        if held:
            began = time.perf_counter()
            found.append(run(np.stack(held)))
            took["infer"] += time.perf_counter() - began
            held.clear()

    for value in column:
        try:
            octets = value.as_buffer() if value.is_valid else b""
            held.append(decode.pixels(octets, plan.side, plan.max_pixels, took, plan.room))
            faults.append(None)
        except decode.Unfit as error:
            faults.append(str(error))
        if len(held) == plan.batch:
            through()
    through()
    flat = np.concatenate(found).astype(np.float32, copy=False) if found else np.zeros((0, 0), np.float32)
    lengths = np.array([0, *(0 if fault else flat.shape[1] for fault in faults)])
    offsets = pa.array(np.cumsum(lengths).astype(np.int32))
    good = pa.array([fault is not None for fault in faults])
    return pa.ListArray.from_arrays(offsets, pa.array(flat.reshape(-1)), mask=good), faults


_SESSIONS: dict[str, Any] = {}


def _session(model: Model) -> Any:
    """Return the function that embeds, of this process; a worker that is used again finds it there."""
    if model.sha256 not in _SESSIONS:
        opened = session(model.content)
        name = opened.get_inputs()[0].name

        def run(pixels: Any) -> Any:
            found = opened.run(None, {name: model.prepared(pixels)})[0]
            return found.reshape(len(found), -1)

        _SESSIONS[model.sha256] = run
    return _SESSIONS[model.sha256]


def _raw(piece: pa.RecordBatch, row: int, content: str) -> str:
    return json.dumps({name: piece.column(name)[row].as_py() for name in piece.schema.names if name != content}, default=str)


def _room(spark: SparkSession) -> tuple[int, int]:
    """Return how many workers an executor has at once, and the bytes of memory that they share."""
    conf = spark.sparkContext.getConf()
    local = is_local(str(spark.sparkContext.master))
    workers = spark.sparkContext.defaultParallelism if local else int(conf.get("spark.executor.cores", "1"))
    said = conf.get("spark.executor.pyspark.memory", "")
    if said:
        return workers, memory.octets(said)
    heap = memory.octets(conf.get("spark.driver.memory" if local else "spark.executor.memory", "1g"))
    if local:
        return workers, max(usable_memory() - heap - heap // 4, memory.MIB)
    overhead = conf.get("spark.executor.memoryOverhead", "")
    return workers, memory.octets(overhead) if overhead else max(384 * memory.MIB, heap // 10)


class _Spent:
    """Seconds that the workers spent on each part, added up over all of them."""

    def __init__(self, spark: SparkSession) -> None:
        from pyspark.accumulators import AccumulatorParam

        class Sums(AccumulatorParam[dict[str, float]]):
            def zero(self, value: dict[str, float]) -> dict[str, float]:
                return dict.fromkeys(value, 0.0)

            def addInPlace(self, one: dict[str, float], other: dict[str, float]) -> dict[str, float]:  # noqa: N802 (Spark's)
                return {name: one.get(name, 0.0) + other.get(name, 0.0) for name in {*one, *other}}

        self.accumulator = spark.sparkContext.accumulator(dict.fromkeys((*PARTS, "images", "tasks"), 0.0), Sums())

    def shares(self) -> dict[str, Any]:
        """Return the seconds by part, of how many images."""
        value = self.accumulator.value
        seconds = {part: round(value[part], 3) for part in PARTS}
        return {"images": int(value["images"]), "tasks": int(value["tasks"]), "seconds": seconds}


def _quoted(names: list[str]) -> list[str]:
    from caudal.engine.marks import quoted

    return [quoted(name) for name in names]
