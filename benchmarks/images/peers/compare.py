"""The comparison: every engine embeds the same files with the same decoder and network, one after the other, and is believed only if its features are right.

An engine has a process of its own for each round, and embeds some images before what is counted; counted is from a folder of JPEGs to features in
Parquet. Rounds alternate, and what is compared is an engine's rate divided by that of ONNX Runtime alone in the same round.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

import caudal as cd
from benchmarks.answer import NoAnswer, heard, started
from benchmarks.environment import python_with
from benchmarks.images.data import repeated
from benchmarks.images.peers.task import Task
from caudal.errors import CaudalError
from caudal.stages.images import decode
from caudal.stages.images.network import load_model

HERE = Path(__file__).parent
WARM = 64
TOLERANCE = 1e-4
_PATIENCE_S = 3600.0


@dataclass(frozen=True)
class Engine:
    """One line of the table; without ``environment`` it runs in this one."""

    name: str
    module: str
    environment: str | None = None


RAW = "ONNX Runtime alone"
ENGINES = (
    Engine(RAW, "raw"),
    Engine("caudal", "own"),
    Engine("Spark", "spark"),
    Engine("Daft", "daft", "daft"),
    Engine("Dask", "dask", "dask"),
    Engine("Ray Data", "ray", "ray"),
)


def compared(place: Path, images: int, rounds: int, cores: int) -> list[dict[str, Any]]:
    """Return a row for each engine: images a second, and their share of the limit in the same round, or what went wrong."""
    place.mkdir(parents=True)
    (place / "model.onnx").write_bytes(load_model(cd.network("efficientnet-lite0")).content)
    repeated(place / "warm", WARM, start=10**6)
    for file in repeated(place / "images", images):
        file.read_bytes()  # all engines find the files in memory
    task = Task(
        str(place / "images"), str(place / "warm"), str(place / "model.onnx"), str(decode.__file__), cores, str(place / "out"),
        str(place / "answer"),
    )  # fmt: skip
    rows: dict[str, dict[str, Any]] = {}
    truth: dict[str, Any] = {}
    for number in range(rounds):
        for engine in (ENGINES[0], *(ENGINES[1:] if number % 2 == 0 else ENGINES[:0:-1])):
            row = rows.setdefault(engine.name, {"platform": engine.name, "images_per_s": [], "of_raw": []})
            if "problem" in row:
                continue
            try:
                _measure(engine, task, images, row, truth, rows[RAW])
            except (NoAnswer, CaudalError) as error:
                row["problem"] = str(error)
            print(f"round {number + 1}: {json.dumps(row)}", flush=True)
    return list(rows.values())


def table(rows: list[dict[str, Any]], images: int) -> str:
    """Return the rows as one table."""
    lines = [f"| {images:,} images | images/s, by round | of ONNX Runtime alone, by round | median |", "|---|---|---|---|"]
    for row in rows:
        rates, shares = (
            ", ".join(f"{one:.{digits}f}" for one in row[name]) for name, digits in (("images_per_s", 1), ("of_raw", 2))
        )
        middle = f"{statistics.median(row['of_raw']):.2f}" if row["of_raw"] else "–"
        lines.append(f"| {row['platform']} | {rates or '–'} | {shares or '–'} | {middle} |")
        if "embedding_of_raw" in row:
            shares = ", ".join(f"{one:.2f}" for one in row["embedding_of_raw"])
            middle = f"{statistics.median(row['embedding_of_raw']):.2f}"
            lines.append(f"| {row['platform']}, its embedding alone | | {shares} | {middle} |")
    problems = [f"{row['platform']}: {row['problem'].splitlines()[-1]}" for row in rows if "problem" in row]
    return "\n".join(
        [*lines, "", *problems, "caudal beside that: copies every image once, hashed, and publishes two tables with their checks."]
    )


def _measure(engine: Engine, task: Task, images: int, row: dict[str, Any], truth: dict[str, Any], raw: dict[str, Any]) -> None:
    load = os.getloadavg()[0]
    answer = _answer(engine, task)
    found = features(Path(task.out))
    if engine.name == RAW and not truth:
        truth.update(found)
    if problem := wrong(found, truth, images):
        raise NoAnswer(f"wrong: {problem}")
    rate = images / answer["seconds"]
    row["images_per_s"].append(round(rate, 2))
    row.setdefault("load_before", []).append(round(load, 1))
    row["of_raw"].append(round(rate / raw["images_per_s"][-1], 3))
    if steps := answer.get("steps"):
        alone = images / steps["table:embedding"] / raw["images_per_s"][-1]
        row.setdefault("embedding_of_raw", []).append(round(alone, 3))


def features(folder: Path) -> dict[str, Any]:
    """Return what an engine wrote: the features of each image by its name, whatever an engine calls its path."""
    import pyarrow.parquet as pq

    found = {}
    for file in sorted(folder.rglob("*.parquet")):
        rows = pq.read_table(file)
        vectors = rows.column("embedding").to_pylist()
        for path, vector in zip(rows.column("path").to_pylist(), vectors, strict=True):
            found[unquote(str(path)).rpartition("/")[2]] = np.asarray(vector, np.float32).reshape(-1)
    return found


def wrong(found: dict[str, Any], truth: dict[str, Any], images: int) -> str | None:
    """Return what is wrong with an engine's features, None when they are those of the truth."""
    if len(found) != images or found.keys() != truth.keys():
        return f"{len(found):,} images instead of {images:,}"
    for name, vector in found.items():
        if vector.shape != (1280,) or not np.allclose(vector, truth[name], rtol=0, atol=TOLERANCE):
            return f"other features of '{name}'"
    return None


def _answer(engine: Engine, task: Task) -> dict[str, Any]:
    """Let an engine do the task in a process of its own, and return its answer."""
    python = python_with(HERE / f"{engine.environment}.txt") if engine.environment else Path(sys.executable)
    for left in (Path(task.out), Path(f"{task.out}-warm")):
        shutil.rmtree(left, ignore_errors=True)
    command = [str(python), "-m", f"benchmarks.images.peers.{engine.module}", json.dumps(asdict(task))]
    return heard(started(command, Path(task.answer), {"OMP_NUM_THREADS": "1"}), Path(task.answer), _PATIENCE_S)
