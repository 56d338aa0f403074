"""Compute features of images by a CNN in Spark's Python workers; each executor gets the network once, each worker loads it once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
from pyspark.accumulators import AccumulatorParam
from pyspark.sql.types import ArrayType, FloatType, StringType, StructField, StructType

from caudal.declarations.build_context import current_build_context
from caudal.declarations.images import MAX_PIXELS, Network
from caudal.engine.capability import Capability
from caudal.engine.choice import session_engine
from caudal.engine.marks import quoted
from caudal.engine.protocol import require_capability
from caudal.engine.settings import is_local, usable_memory
from caudal.errors import DeclarationProblem, EnvironmentProblem
from caudal.stages.features.registered import feature
from caudal.stages.images import decode, memory
from caudal.stages.images.network import LoadedNetwork, inference_session, load_model, uses_gpu

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pyspark import Accumulator, Broadcast
    from pyspark.sql import DataFrame, SparkSession

CONTENT = "content"
KEPT = "embed"  # the network is stored with the table under this name and the column's
DEVICE, DEVICES = "spark.caudal.embed.device", ("cpu", "cuda")
"""Spark's setting of what computes the networks: a processor, or a GPU of CUDA where a worker finds one."""
# Parts of the work, in order; a worker measures the seconds of each.
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

    Images that cannot be decoded go to the table's quarantine with the reason.

    Parameters
    ----------
    images : DataFrame, one row per image, its bytes in ``content``
    network : the result of `caudal.network`
    size : int, pixels of a side, a multiple of 32
    floor : int, the smallest size that is chosen where memory is short
    batch : int, images that go through the network together; lowered where memory is short
    max_pixels : int, the most pixels of an image that is decoded; lowered where memory is short

    Raises
    ------
    DeclarationProblem : there is no such column, networks do not take images of this size, or the setting `DEVICE` is none
    EnvironmentProblem : the memory does not suffice for one image, or the libraries of ``caudal[images]`` are missing
    """
    if content not in images.columns:
        raise DeclarationProblem(
            f"embed reads images from '{content}', and there is no such column.", fix=f"It has {', '.join(images.columns)}."
        )
    if size % memory.STEP or floor % memory.STEP or not 0 < floor <= size:
        raise DeclarationProblem(
            f"embed got size={size} and floor={floor}.",
            fix=f"Both must be multiples of {memory.STEP}, and the floor at most the size.",
        )
    spark = images.sparkSession
    require_capability(session_engine(spark), Capability.SHARED_VARIABLES, "embed")
    on_gpu = _device(spark) == "cuda"
    chosen = load_model(network)
    workers, memory_bytes = _worker_memory(spark)
    plan = memory.plan_memory(
        memory=memory_bytes, workers=workers, model=len(chosen.content), side=size, floor=floor,
        batch=None if batch == "auto" else batch, largest=max_pixels,
        reserved=memory.WRITER if is_local(str(spark.sparkContext.master)) else 0,
    )  # fmt: skip
    context = current_build_context()
    context.settings.update(
        {
            # Many tasks, so that no core waits for the last one; small pieces, so that memory stays flat.
            "spark.sql.files.maxPartitionBytes": "16m",
            "spark.sql.files.openCostInBytes": "65536",
            "spark.sql.files.minPartitionNum": str(6 * workers),
            "spark.sql.execution.arrow.maxBytesPerBatch": str(plan.piece),
            "spark.sql.execution.arrow.maxRecordsPerBatch": "512",
        }
    )
    times = _WorkerTimes(spark)
    context.kept[f"{KEPT}:{into}"] = json.dumps({**asdict(network), "side": plan.side, "model": chosen.sha256}).encode()
    context.note_functions.append(
        lambda _: {"embedding": {**times.shares(), "plan": [*plan.notes, *times.devices(on_gpu)], "network": _key(chosen, plan)}}
    )
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
    embed_pieces = _worker(spark.sparkContext.broadcast(chosen), plan, carried, content, into, times.accumulator, on_gpu)
    return images.select(*_quoted([*carried, content])).mapInArrow(embed_pieces, schema)


def embed_image(content: bytes, network: Network, side: int, max_pixels: int = MAX_PIXELS) -> NDArray[np.float32]:
    """Return the features of one image, float32 [d], prepared and computed like those of a table.

    Raises
    ------
    UnreadableImage : it is not an image, or one that cannot be decoded
    """
    return _embedder(load_model(network), on_gpu=False)(decode.pixels(content, side, max_pixels)[None])[0]  # type: ignore[no-any-return]


def _device(spark: SparkSession) -> str:
    """Return the device that the settings name."""
    device = spark.conf.get(DEVICE, DEVICES[0])
    if device not in DEVICES:
        raise DeclarationProblem(f"The setting {DEVICE} is '{device}'.", fix=f"Use {' or '.join(DEVICES)}.")
    return device


def network_of(stored: bytes) -> tuple[Network, int]:
    """Return the network and the size that computed a table's features, from the bytes stored with the table.

    Raises
    ------
    EnvironmentProblem : the network has changed since then, or does not exist
    """
    fields: dict[str, Any] = json.loads(stored)
    side, model = fields.pop("side"), fields.pop("model")
    fields |= {name: tuple(fields[name]) for name in ("mean", "std")}
    network = Network(**fields)
    if (network.sha256 is not None and not Path(network.name).is_file()) or load_model(network).sha256 != model:
        raise EnvironmentProblem(
            f"The network '{network.name}' is not the one that computed the features.", fix="Run the product again."
        )
    return network, int(side)


def _key(model: LoadedNetwork, plan: memory.MemoryPlan) -> str:
    return f"{model.name}@{model.sha256[:12]}/{plan.side}"


def _worker(
    shared: Broadcast[LoadedNetwork],
    plan: memory.MemoryPlan,
    carried: list[str],
    content: str,
    into: str,
    times: Accumulator[dict[str, float]],
    on_gpu: bool,
) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    """Return the function that a Python worker applies to its pieces of the frame."""

    def embed_pieces(pieces: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        spent_s, start = dict.fromkeys(PARTS, 0.0), time.perf_counter()
        model: LoadedNetwork = shared.value
        run, key = _embedder(model, on_gpu), _key(model, plan)
        on_gpu_before = run.images_on_gpu
        spent_s["load"] = time.perf_counter() - start
        images, since = 0, time.perf_counter()
        for piece in pieces:
            spent_s["read"] += time.perf_counter() - since
            vectors, faults = _embed_column(piece.column(content), run, plan, spent_s)
            images += len(faults)
            raw = [None if fault is None else _raw(piece, row, content) for row, fault in enumerate(faults)]
            errors = pa.array([None if fault is None else [f"image {fault}"] for fault in faults], pa.list_(pa.string()))
            columns = [piece.column(name) for name in carried]
            columns += [pa.array([key] * len(faults)), vectors, errors, pa.array(raw, pa.string())]
            since = time.perf_counter()
            yield pa.RecordBatch.from_arrays(columns, [*carried, "network", into, "_format_errors", "_raw"])
            spent_s["write"] += time.perf_counter() - since
            since = time.perf_counter()
        times.add({**spent_s, "images": images, "tasks": 1, "on_gpu": run.images_on_gpu - on_gpu_before})

    return embed_pieces


def _embed_column(
    column: pa.Array, run: Embedder, plan: memory.MemoryPlan, spent_s: dict[str, float]
) -> tuple[pa.Array, list[str | None]]:
    """Return the features of a piece's images, null where an image has none, and the fault of each such image."""
    faults: list[str | None] = []
    images: list[NDArray[np.uint8]] = []
    vectors: list[NDArray[np.float32]] = []

    def infer_images() -> None:
        if images:
            start = time.perf_counter()
            vectors.append(run(np.stack(images)))
            spent_s["infer"] += time.perf_counter() - start
            images.clear()

    for value in column:
        try:
            octets = value.as_buffer() if value.is_valid else b""
            images.append(decode.pixels(octets, plan.side, plan.max_pixels, spent_s, plan.room))
            faults.append(None)
        except decode.UnreadableImage as error:
            faults.append(str(error))
        if len(images) == plan.batch:
            infer_images()
    infer_images()
    flat = np.concatenate(vectors).astype(np.float32, copy=False) if vectors else np.zeros((0, 0), np.float32)
    lengths = np.array([0, *(0 if fault else flat.shape[1] for fault in faults)])
    offsets = pa.array(np.cumsum(lengths).astype(np.int32))
    is_fault = pa.array([fault is not None for fault in faults])
    return pa.ListArray.from_arrays(offsets, pa.array(flat.reshape(-1)), mask=is_fault), faults


class Embedder:
    """A network in this process: on a GPU until that fails, and from then on, with what has failed, on the processor.

    Parameters
    ----------
    on_gpu : whether a GPU computes where one is found
    """

    def __init__(self, model: LoadedNetwork, on_gpu: bool) -> None:
        self._model, self.images_on_gpu = model, 0
        self._session = inference_session(model.content, on_gpu=on_gpu)
        self._on_gpu = uses_gpu(self._session)
        self._input = self._session.get_inputs()[0].name

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the features [n, d] of images [n, side, side, 3]."""
        prepared = self._model.prepare(pixels)
        try:
            vectors = self._session.run(None, {self._input: prepared})[0]
            self.images_on_gpu += len(pixels) if self._on_gpu else 0
        except Exception:
            if not self._on_gpu:
                raise
            self._session, self._on_gpu = inference_session(self._model.content), False
            vectors = self._session.run(None, {self._input: prepared})[0]
        features: NDArray[np.float32] = vectors.reshape(len(vectors), -1)
        return features


_EMBEDDERS: dict[tuple[str, bool], Embedder] = {}


def _embedder(model: LoadedNetwork, on_gpu: bool) -> Embedder:
    """Return what embeds pixels, from this process's cache: Spark reuses workers."""
    key = (model.sha256, on_gpu)
    if key not in _EMBEDDERS:
        _EMBEDDERS[key] = Embedder(model, on_gpu)
    return _EMBEDDERS[key]


def _raw(piece: pa.RecordBatch, row: int, content: str) -> str:
    return json.dumps({name: piece.column(name)[row].as_py() for name in piece.schema.names if name != content}, default=str)


def _worker_memory(spark: SparkSession) -> tuple[int, int]:
    """Return how many workers an executor runs at once, and the bytes of memory that they share."""
    conf = spark.sparkContext.getConf()
    local = is_local(str(spark.sparkContext.master))
    workers = spark.sparkContext.defaultParallelism if local else int(conf.get("spark.executor.cores", "1"))
    limit = conf.get("spark.executor.pyspark.memory", "")
    if limit:
        return workers, memory.parse_bytes(limit)
    heap = memory.parse_bytes(conf.get("spark.driver.memory" if local else "spark.executor.memory", "1g"))
    if local:
        return workers, max(usable_memory() - heap - heap // 4, memory.MIB)
    overhead = conf.get("spark.executor.memoryOverhead", "")
    return workers, memory.parse_bytes(overhead) if overhead else max(384 * memory.MIB, heap // 10)


class _WorkerTimes:
    """The seconds that all workers together spent on each part."""

    def __init__(self, spark: SparkSession) -> None:
        class Sums(AccumulatorParam[dict[str, float]]):
            def zero(self, value: dict[str, float]) -> dict[str, float]:
                return dict.fromkeys(value, 0.0)

            def addInPlace(self, left: dict[str, float], right: dict[str, float]) -> dict[str, float]:  # noqa: N802 (Spark's)
                return {name: left.get(name, 0.0) + right.get(name, 0.0) for name in {*left, *right}}

        self.accumulator = spark.sparkContext.accumulator(dict.fromkeys((*PARTS, "images", "tasks", "on_gpu"), 0.0), Sums())

    def shares(self) -> dict[str, object]:
        """Return the number of images and of tasks, and the seconds by part."""
        value = self.accumulator.value
        seconds = {part: round(value[part], 3) for part in PARTS}
        return {"images": int(value["images"]), "tasks": int(value["tasks"]), "seconds": seconds}

    def devices(self, on_gpu: bool) -> list[str]:
        """Return how many images a GPU has computed, in a sentence; nothing where none was asked for."""
        return [f"Images computed on a GPU: {int(self.accumulator.value['on_gpu'])}."] if on_gpu else []


def _quoted(names: list[str]) -> list[str]:
    return [quoted(name) for name in names]
