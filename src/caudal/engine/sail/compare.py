"""Compares Sail with JVM Spark: ``python -m caudal.engine.sail.compare``.

Each construct is computed by both engines over the same edge values; what each makes of them is compared to the bit. The two run in
processes of their own, because a process has either classic sessions or those of Spark Connect.
"""

from __future__ import annotations

import argparse
import os
import pickle
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from caudal.engine.sail.cases import Case
from caudal.engine.sail.fresh import fresh_rows
from caudal.engine.sail.functions import aggregate_cases, scalar_cases
from caudal.engine.sail.queries import queries
from caudal.engine.sail.results import EQUAL, JUDGED, EngineAgreement, worse
from caudal.engine.sail.rewriting import rewriting_cases
from caudal.engine.sail.table import EqualityTable, cached_table_file, stored_table, tabulate
from caudal.engine.sail.values import rows
from caudal.engine.sail.window_functions import window_cases, window_key_cases

ENVIRONMENT = {"RUST_LOG": "error", "RUST_BACKTRACE": "0", "TZ": "America/New_York", "CAUDAL_JAVA": "bundled"}
"""Of the processes that compute: what depends on the machine's time zone must not be found equal where that is UTC by chance, and older versions of Java
write some doubles with a digit more."""
FRESH_SEED = 1
PASSED = ("equal", "raises", "order", "digits")
FORMS = ("scalar", "aggregate", "window", "query")


def all_cases() -> list[Case]:
    """Return everything that is compared, without repetition."""
    cases = dict.fromkeys(
        [
            *scalar_cases(),
            *aggregate_cases(),
            *window_cases(),
            *window_key_cases(),
            *rewriting_cases(),
            *(Case(name, "query") for name in queries()),
        ]
    )
    # Breadth first, and whole queries last: should the comparison be ended, most constructs are compared with some types.
    places: Counter[str] = Counter()
    ranked = []
    for case in cases:
        name = case.constructs[0].name
        ranked.append((FORMS.index(case.form), places[name], case))
        places[name] += 1
    return [case for _, _, case in sorted(ranked, key=lambda ranks: ranks[:2])]


def compare(cases: Sequence[Case], folder: Path) -> list[EngineAgreement | None]:
    """Return for each case what the comparison says; None where Spark refuses the case.

    Every case is compared on edge values; whole queries apart, what passes is compared again on values that nobody chose.

    Parameters
    ----------
    folder : Path, where rows and results lie; what an engine made of a case there is not computed again
    """
    judged = _compared(cases, folder / "edge", rows)
    passed = [case for case in cases if case.form != "query" and case.key in judged and judged[case.key].status in PASSED]
    again = _compared(passed, folder / "fresh", partial(fresh_rows, FRESH_SEED))
    return [worse(judged[case.key], again.get(case.key, EQUAL)) if case.key in judged else None for case in cases]


def _compared(
    cases: Sequence[Case], folder: Path, make_rows: Callable[[], pa.Table]
) -> dict[tuple[str, str, str], EngineAgreement]:
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "rows.parquet").is_file():
        pq.write_table(make_rows(), folder / "rows.parquet")
    (folder / "cases.pickle").write_bytes(pickle.dumps(list(cases)))
    _run("spark_side", folder)
    _run("sail_side", folder)
    judged: dict[tuple[str, str, str], EngineAgreement] = pickle.loads((folder / JUDGED).read_bytes())  # noqa: S301
    return judged


def _run(module: str, folder: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", f"caudal.engine.sail.{module}", str(folder)], check=True, env={**os.environ, **ENVIRONMENT}
    )


def compared_table(folder: Path, only: Sequence[str] = ()) -> EqualityTable:
    """Return the table of everything, compared anew; of the constructs with the names in ``only``, with the rest as the table has it."""
    if not only:
        cases = all_cases()
        return tabulate(cases, compare(cases, folder))
    cases = [case for case in all_cases() if {construct.name for construct in case.constructs} & {*only}]
    before = stored_table()
    after = tabulate(cases, compare(cases, folder))
    return after if before is None else before.updated(after, only)


def run_comparison(arguments: Sequence[str] | None = None) -> None:
    """Compare, and write the table."""
    parser = argparse.ArgumentParser(
        prog="python -m caudal.engine.sail.compare", description="Compare Sail with JVM Spark, construct by construct."
    )
    parser.add_argument("--out", type=Path, help="the table's file; in the user's cache when left out")
    parser.add_argument(
        "--only", nargs="+", default=(), metavar="NAME", help="compare the constructs of these names; the rest of the table stays"
    )
    parser.add_argument("--folder", type=Path, help="keep the engines' results here, and use those that are there")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="caudal-compare-") as temporary:
        folder = chosen.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        table = compared_table(folder, chosen.only)
    file = chosen.out or cached_table_file(table.pysail)
    table.write(file)
    print(f"{table.summary()} Written to {file}.")


if __name__ == "__main__":
    run_comparison()
