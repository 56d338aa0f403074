"""``python -m benchmarks.graph``: a product of many tables is checked, planned, and run by Luigi with steps that do nothing."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import caudal as cd
from caudal.batch.execute import execute
from caudal.batch.plan import plan
from caudal.batch.step import Step, StepResult
from caudal.declarations.settings import Settings
from caudal.graph.check import check
from caudal.runtime.run_record import RunRecord
from caudal.runtime.workspace import Workspace
from caudal.tables.home import Home

FEEDS = 3  # tables that each table is made of


def product(tables: int) -> cd.Product:
    """Return a product of so many tables, each made of those just before it."""
    made = cd.Product("graph")
    made.source("t0", cd.files("*.csv"), schema=cd.schema(a=cd.column("long")))
    for number in range(1, tables):
        before = [f"t{one}" for one in range(max(0, number - FEEDS), number)]
        made.sql(f"t{number}", "SELECT a FROM " + " JOIN ".join(before), schema=cd.schema(a=cd.column("long")))
    return made


def main() -> None:
    """Print milliseconds a step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1000)
    asked = parser.parse_args()
    took: dict[str, float] = {}

    def timed(name, work):
        began = time.perf_counter()
        result = work()
        took[name] = time.perf_counter() - began
        return result

    declared = timed("declare", lambda: product(asked.steps - 1))
    problems = timed("check", lambda: check(declared))
    assert not problems, problems[0]
    steps = timed("plan", lambda: plan(declared))
    idle = [Step(one.name, one.kind, one.subject, one.needs, lambda _: StepResult(rows_written=0)) for one in steps]
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        ledger = home.ledger()
        ws = Workspace.compose(declared, home, Settings(home=home.path), RunRecord(declared.name, ledger, "bench"))
        import luigi  # noqa: F401 - the import is a cost of each process, not of each step

        board = timed("execute by Luigi, told to the ledger", lambda: execute(ws, idle))
        assert len(board.completed) == len(steps)
        ledger.close()
    for name, one in took.items():
        print(f"{name:<40} {one:7.2f} s  {1000 * one / len(steps):6.2f} ms a step")
    print(
        f"{'all of it':<40} {sum(took.values()):7.2f} s  {1000 * sum(took.values()) / len(steps):6.2f} ms a step, {len(steps)} steps"
    )


if __name__ == "__main__":
    main()
