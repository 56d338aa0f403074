"""The sample product from new to predicted, and once more with nothing new, beside dbt, Kedro, Dagster and Metaflow: ``python -m benchmarks.first_run``.

Every contender has a virtual environment of its own, made once in the cache, and begins each round with an empty folder and the same six files. Rounds
alternate (A B C A B C); the first one warms the disk and does not count. A contender whose hour table has other rows than caudal's gives no figure.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.answer import NoAnswer
from benchmarks.environment import Environment
from benchmarks.first_run.contenders import CONTENDERS, Contender, environment_of
from benchmarks.first_run.hours import difference, hours
from benchmarks.first_run.measure import Cost, cost
from caudal.errors import CaudalError

PHASES = ("new", "first run", "second run", "preview")


def main() -> None:
    """Measure and print: a line of JSON for each contender of each round, then a table, then all of it as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.first_run", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--only", action="append", metavar="NAME", help=f"a contender; may be repeated: {', '.join(c.name for c in CONTENDERS)}"
    )
    asked = parser.parse_args()
    contenders = [contender for contender in CONTENDERS if contender.name in (asked.only or [c.name for c in CONTENDERS])]
    rows = [row for contender in contenders if (row := _row(contender))]
    with tempfile.TemporaryDirectory(prefix="caudal-first-run-") as name:
        place = Path(name)
        landing = _landing(place)
        truth: list[Any] = []
        for number in range(asked.rounds + 1):
            for row in rows:
                if "problem" in row:
                    continue
                folder = place / f"{number}-{row['contender'].environment}-{rows.index(row)}"
                try:
                    costs = _round(row["contender"], row["environment"], folder, landing, truth)
                except NoAnswer as problem:
                    row["problem"] = str(problem)
                    print(f"{row['name']}: {problem}", flush=True)
                    continue
                finally:
                    shutil.rmtree(folder, ignore_errors=True)
                said = {phase: dataclasses.asdict(spent) for phase, spent in costs.items()}
                print(json.dumps({"round": number, "name": row["name"], **said}), flush=True)
                if number:
                    row["rounds"].append(costs)
    print(table(rows), flush=True)


def _row(contender: Contender) -> dict[str, Any] | None:
    """Return a contender's row with its environment; None where that cannot be had, which is said."""
    try:
        made = environment_of(contender)
    except CaudalError as error:
        print(f"{contender.name}: {error}", flush=True)
        return None
    return {"name": contender.name, "contender": contender, "environment": made, "rounds": []}


def _landing(place: Path) -> Path:
    """Return the folder of the sample product's files."""
    caudal = next(contender for contender in CONTENDERS if contender.new)
    command = caudal.command((*caudal.new[:-1], "files"), environment_of(caudal))
    subprocess.run([str(word) for word in command], cwd=place, check=True, stdout=subprocess.DEVNULL)
    return place / "files" / "landing"


def _round(contender: Contender, made: Environment, folder: Path, landing: Path, truth: list[Any]) -> dict[str, Cost]:
    """Return what each phase cost a contender; the first hour table, caudal's, is the truth.

    Raises
    ------
    NoAnswer : a command broke, or the hour table has other rows
    """
    contender.lay(folder, landing)
    commands = {"new": contender.new, "first run": contender.run, "second run": contender.run, "preview": contender.preview}
    variables = contender.variables(folder)
    costs = {
        phase: cost(contender.command(words, made), folder, variables, folder.with_suffix(".log"))
        for phase, words in commands.items()
        if words
    }
    cost(contender.command(contender.hours, made), folder, variables, folder.with_suffix(".log"))
    rows = hours(folder / "hours.csv")
    if not truth:
        truth.append(rows)
    if problem := difference(rows, truth[0]):
        raise NoAnswer(f"wrong: {problem}")
    return costs


def middle(rounds: Sequence[dict[str, Cost]], phase: str, figure: str) -> float | None:
    """Return the median of a figure of a phase over the rounds; None where there is none."""
    values = [getattr(costs[phase], figure) for costs in rounds if phase in costs]
    return statistics.median(values) if values else None


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return the medians as a table; ratios are the median over the rounds of processor time by that of the first row in the same round."""
    lines = [
        "| | environment, MB | made in: wall s, processor s | "
        + " | ".join(f"{phase}: wall s, processor s, peak MB" for phase in PHASES)
        + " | ratio of first run, of second |",
        "|---" * (len(PHASES) + 4) + "|",
    ]
    for row in rows:
        made: Environment = row["environment"]
        cells = [row["name"], f"{made.megabytes():.0f}", _figures(made.set_up_s, made.set_up_processor_s)]
        for phase in PHASES:
            wall_s, processor_s, peak_mb = (middle(row["rounds"], phase, figure) for figure in ("wall_s", "processor_s", "peak_mb"))
            cells.append("–" if peak_mb is None else f"{_figures(wall_s, processor_s)}, {peak_mb:.0f}")
        cells.append(", ".join(_ratio(row["rounds"], rows[0]["rounds"], phase) for phase in ("first run", "second run")))
        lines.append(f"| {' | '.join(cells)} |")
    lines += [f"{row['name']}: {row['problem'].splitlines()[-1]}" for row in rows if "problem" in row]
    return "\n".join(lines)


def _figures(wall_s: float | None, processor_s: float | None) -> str:
    return "–" if wall_s is None or processor_s is None else f"{wall_s:.1f}, {processor_s:.1f}"


def _ratio(rounds: Sequence[dict[str, Cost]], base: Sequence[dict[str, Cost]], phase: str) -> str:
    ratios = [own[phase].processor_s / first[phase].processor_s for own, first in zip(rounds, base, strict=False)]
    return f"{statistics.median(ratios):.2f}" if ratios else "–"


if __name__ == "__main__":
    main()
