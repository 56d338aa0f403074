"""Overhead of the whole machinery over hand-written PySpark: ``python -m benchmarks.etl --rows 10000000 --rounds 3 [--engine sail]``.

All make the same tables from the same files, in turn (plain, caudal, Polars, plain, caudal …), each in a process of its own, the first two on
the same engine with the same settings; what is compared is the ratio within each round.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.environment import python_with
from benchmarks.etl.data import write

HERE = Path(__file__).parent


def timed(command: list[str], log: Path, engine: str) -> float:
    """Return the wall seconds of a command that must succeed, where caudal computes on an engine."""
    began = time.perf_counter()
    with log.open("w") as out:
        subprocess.run(
            command,
            check=True,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, "CAUDAL_MEMORY": "4g", "CAUDAL_ENGINE": engine},
        )
    return time.perf_counter() - began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--engine", choices=("spark", "sail", "auto"), default="spark", help="with auto the plain code is Sail's")
    parser.add_argument("--keep", type=Path, help="folder to keep data and results in")
    told = parser.parse_args()
    place = told.keep or Path(tempfile.mkdtemp(prefix="caudal-etl-"))
    place.mkdir(parents=True, exist_ok=True)
    data = place / f"data-{told.rows}"
    if not data.is_dir():
        write(data, told.rows)
    with_polars = python_with(HERE / "polars.txt")
    rounds = []
    for number in range(told.rounds + 1):  # the first round warms the file cache and the class-data archive, and does not count
        for folder in ("plain", "home", "polars"):
            shutil.rmtree(place / folder, ignore_errors=True)
        by_hand = "sail" if told.engine == "auto" else told.engine
        plain = timed(
            [sys.executable, str(HERE / "plain.py"), str(data), str(place / "plain"), by_hand], place / "plain.log", told.engine
        )
        caudal = timed(
            [sys.executable, "-m", "caudal", "run", str(HERE), "--data", str(data), "--home", str(place / "home"), "--json"],
            place / "caudal.log", told.engine,
        )  # fmt: skip
        polars = timed(
            [str(with_polars), str(HERE / "by_polars.py"), str(data), str(place / "polars")], place / "polars.log", told.engine
        )
        ratios = f"{caudal / plain:.3f} of plain, {caudal / polars:.3f} of Polars"
        print(f"round {number}: plain {plain:.1f} s, caudal {caudal:.1f} s, Polars {polars:.1f} s: {ratios}", flush=True)
        if number:
            rounds.append({"plain_s": round(plain, 2), "caudal_s": round(caudal, 2), "polars_s": round(polars, 2)})
    ratio = {
        name: statistics.median(seconds["caudal_s"] / seconds[f"{name}_s"] for seconds in rounds) for name in ("plain", "polars")
    }
    medians = {name: round(value, 3) for name, value in ratio.items()}
    print(json.dumps({"rows": told.rows, "engine": told.engine, "rounds": rounds, "median_ratio_to": medians}, indent=2))
    if not told.keep:
        shutil.rmtree(place)


if __name__ == "__main__":
    main()
