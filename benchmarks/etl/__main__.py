"""Overhead of the whole machinery over hand-written PySpark: ``python -m benchmarks.etl --rows 10000000 --rounds 3``.

Both make the same tables from the same files, in turn (plain, caudal, plain, caudal …), each in a process of its own with the
same Spark settings; what is compared is the ratio within each round.
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

from benchmarks.etl.data import write

HERE = Path(__file__).parent


def timed(command: list[str], log: Path) -> float:
    """Return the wall seconds of a command that must succeed."""
    began = time.perf_counter()
    with log.open("w") as out:
        subprocess.run(
            command,
            check=True,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={"CAUDAL_MEMORY": "4g", "CAUDAL_ENGINE": "spark", **os.environ},
        )
    return time.perf_counter() - began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="folder to keep data and results in")
    told = parser.parse_args()
    place = told.keep or Path(tempfile.mkdtemp(prefix="caudal-etl-"))
    place.mkdir(parents=True, exist_ok=True)
    data = place / f"data-{told.rows}"
    if not data.is_dir():
        write(data, told.rows)
    rounds = []
    for number in range(told.rounds + 1):  # the first round warms the file cache and the class-data archive, and does not count
        for folder in ("plain", "home"):
            shutil.rmtree(place / folder, ignore_errors=True)
        plain = timed([sys.executable, str(HERE / "plain.py"), str(data), str(place / "plain")], place / "plain.log")
        caudal = timed(
            [sys.executable, "-m", "caudal", "run", str(HERE), "--data", str(data), "--home", str(place / "home"), "--json"],
            place / "caudal.log",
        )
        print(f"round {number}: plain {plain:.1f} s, caudal {caudal:.1f} s, ratio {caudal / plain:.3f}", flush=True)
        if number:
            rounds.append({"plain_s": round(plain, 2), "caudal_s": round(caudal, 2), "ratio": round(caudal / plain, 3)})
    ratio = statistics.median(one["ratio"] for one in rounds)
    print(json.dumps({"rows": told.rows, "rounds": rounds, "median_ratio": ratio}, indent=2))
    if not told.keep:
        shutil.rmtree(place)


if __name__ == "__main__":
    main()
