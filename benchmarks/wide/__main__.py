"""A wide CSV that nobody declared, beside DuckDB's and pandas' reading of it: ``python -m benchmarks.wide --columns 2000 --rows 1000``.

Processor seconds, those of child processes included, from the start of a process to its end. ``narrow`` is the same of a file of two columns:
the difference from it is what the columns cost. ``spark`` reads the texts of the file and writes them as they are, in the same session as a run's.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

PRODUCT = 'import caudal as cd\n\nproduct = cd.Product("wide")\nproduct.source("s", cd.files("a.csv"))\n'
DUCKDB = "import duckdb, sys; duckdb.sql(f\"copy (from read_csv('{sys.argv[1]}')) to '{sys.argv[1]}.duckdb.parquet'\")"
SPARK = (
    "import sys\nfrom caudal.engine.session import session\n"
    "session().read.option('header', True).csv(sys.argv[1]).write.parquet(sys.argv[1] + '.spark.parquet')"
)
PANDAS = "import pandas, sys; pandas.read_csv(sys.argv[1]).to_parquet(sys.argv[1] + '.pandas.parquet')"


def write(path: Path, columns: int, rows: int) -> None:
    """Write whole numbers, numbers, words, times and truth values, one column in ten half empty."""
    chance = random.Random(7)
    kinds: list[Callable[[], str]] = [
        lambda: str(chance.randrange(10**6)),
        lambda: repr(chance.random()),
        lambda: f"word{chance.randrange(1000)}",
        lambda: f"2024-0{chance.randrange(1, 10)}-1{chance.randrange(10)} 0{chance.randrange(10)}:30:00",
        lambda: chance.choice(["true", "false"]),
    ]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([f"c{i}" for i in range(columns)])
        for _ in range(rows):
            writer.writerow(["" if i % 10 == 9 and chance.random() < 0.5 else kinds[i % 5]() for i in range(columns)])


def processor_s(command: list[str]) -> float:
    """Return the processor seconds of a command that must succeed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1)


def caudal_s(folder: Path, columns: int, rows: int, engine: str) -> float:
    """Return the processor seconds of a first run over a file that is written for it."""
    folder.mkdir()
    write(folder / "a.csv", columns, rows)
    (folder / "product.py").write_text(PRODUCT)
    return processor_s([sys.executable, "-m", "caudal", "run", str(folder), "--home", str(folder / "home"), "--engine", engine])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--columns", type=int, default=2000)
    parser.add_argument("--rows", type=int, default=1000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="caudal-wide-") as name:
        place = Path(name)
        caudal_s(place / "first", 2, 1, "spark")  # after it Java's archive of classes is made
        figures = {}
        for engine in ("auto", "spark"):
            figures[f"caudal {engine} narrow"] = caudal_s(place / f"{engine} narrow", 2, asked.rows, engine)
            figures[f"caudal {engine}"] = caudal_s(place / f"{engine} wide", asked.columns, asked.rows, engine)
        for reader, program in {"spark": SPARK, "duckdb": DUCKDB, "pandas": PANDAS}.items():
            for which in ("narrow", "wide"):
                label = reader if which == "wide" else f"{reader} narrow"
                figures[label] = processor_s([sys.executable, "-c", program, str(place / f"spark {which}" / "a.csv")])
    print(json.dumps({"columns": asked.columns, "rows": asked.rows, "processor_s": figures}, indent=2))


if __name__ == "__main__":
    main()
