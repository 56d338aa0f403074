"""``python -m benchmarks.monitor``: false alarms on undisturbed windows and delay after a change of known size, beside Evidently and NannyML.

Every program sees the same windows, one after another. ``--only own`` leaves the peers out; their environments (1.0 and 2.2 GB) are kept in the user's cache.
``--only estimates`` compares errors expected before labels come instead: `benchmarks.monitor.estimates`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmarks.environment import python_with
from benchmarks.monitor import own
from benchmarks.monitor.cost import cost
from benchmarks.monitor.estimates import estimates
from benchmarks.monitor.series import CHANGES, Stretch, stretch

HERE = Path(__file__).parent
PEERS = ("evidently", "nannyml")
TEXT = {"taxi": "payment_type,PULocationID", "bikes": "weathersit"}
CALM_WINDOWS, REFERENCE, AFTER = 180, 60, 30
ONSET = REFERENCE + 20


def main() -> None:
    """Print a line of JSON for each rule of each program, and a table of all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=("own", *PEERS, "estimates"), action="append")
    parser.add_argument("--cost", type=int, metavar="ROWS", help="measure what a monitor costs instead")
    parser.add_argument("--calm", type=int, metavar="WINDOWS", help="only false alarms, on so many windows of each order")
    parser.add_argument("--seeds", type=int, default=5, help="orders of the windows  [default: 5]")
    options = parser.parse_args()
    if options.cost:
        print(json.dumps(cost(options.cost)))
        return
    names = options.only or ["own", *PEERS]
    if "estimates" in names:
        estimates(options.seeds)
    windows = REFERENCE + options.calm if options.calm else CALM_WINDOWS
    drift = [name for name in names if name != "estimates"]
    calm = [stretch(data, seed, windows, REFERENCE) for data in TEXT for seed in range(options.seeds) if drift]
    changed = [
        stretch(change.data, 100 + seed, ONSET + AFTER, REFERENCE, change, ONSET)
        for change in (() if options.calm or not drift else CHANGES)
        for seed in range(options.seeds)
    ]
    lines: list[str] = []
    for name in drift:
        began = time.perf_counter()
        for rule, figures in _figures(name, calm, changed).items():
            print(json.dumps({"program": name, "rule": rule, **figures}), flush=True)
            lines += [] if lines else _heading(figures)
            lines.append(_line(f"{name}: {rule}", figures))
        print(json.dumps({"program": name, "seconds": round(time.perf_counter() - began)}), flush=True)
    print("\n".join(lines))


def _figures(name: str, calm: list[Stretch], changed: list[Stretch]) -> dict[str, dict[str, Any]]:
    """Return for each rule of a program: false alarms in 1,000 windows, and for each change the median delay in windows, how often it was missed, and alarms in
    1,000 windows after it.

    ``by_chance`` is the median number of windows until an alarm where nothing changes: a delay that is no shorter tells nothing.
    """
    false, after_change = _alarms(name, calm), _alarms(name, changed)
    figures: dict[str, dict[str, Any]] = {}
    for rule in false[0]:
        raised: dict[str, list[bool]] = {data: [] for data in TEXT}
        waits: dict[str, list[int | None]] = {data: [] for data in TEXT}
        for part, alarms in zip(calm, false, strict=True):
            data = part.name.partition("-")[0]
            raised[data] += alarms[rule]
            waits[data] += [_first(alarms[rule][start : start + AFTER]) for start in range(len(alarms[rule]) - AFTER)]
        after: dict[str, list[list[bool]]] = {}
        for part, alarms in zip(changed, after_change, strict=True):
            after.setdefault(f"{part.name.partition('-')[0]}: {part.change}", []).append(alarms[rule][ONSET - REFERENCE :])
        figures[rule] = {
            "false_alarms_per_1000": {data: _per_1000(values) for data, values in raised.items()},
            "windows": {data: len(values) for data, values in raised.items()},
            "orders_with_alarm": {
                data: sum(any(alarms[rule]) for part, alarms in zip(calm, false, strict=True) if part.name.startswith(data))
                for data in TEXT
            },
            "by_chance": {data: _delay(values)["median"] for data, values in waits.items() if values},
            "delay": {
                words: _delay([_first(alarms) for alarms in parts])
                | {"alarms_per_1000": _per_1000([alarm for alarms in parts for alarm in alarms])}
                for words, parts in after.items()
            },
        }
    return figures


def _first(alarms: Sequence[bool]) -> int | None:
    """Return the number of the first window with an alarm, from 1; None where there is none."""
    return next((number for number, alarm in enumerate(alarms, 1) if alarm), None)


def _per_1000(alarms: Sequence[bool]) -> float:
    return round(1000 * sum(alarms) / len(alarms), 1)


def _delay(values: Sequence[int | None]) -> dict[str, Any]:
    """Return the median number of windows until the first alarm, and the share of series without one."""
    median = statistics.median(AFTER + 1 if value is None else value for value in values)
    return {"median": None if median > AFTER else median, "missed": sum(value is None for value in values) / len(values)}


def _heading(figures: dict[str, Any]) -> list[str]:
    titles = ["program and rule", *(f"false alarms, {data}" for data in figures["false_alarms_per_1000"]), *figures["delay"]]
    return [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]


def _line(title: str, figures: dict[str, Any]) -> str:
    """Return a row of the table: false alarms in 1,000 windows, and each median delay with the share of series in which the change was missed."""
    cells = [title, *(f"{value:g}" for value in figures["false_alarms_per_1000"].values())]
    for delay in figures["delay"].values():
        median = "–" if delay["median"] is None else f"{delay['median']:g}"
        cells.append(median + (f" ({delay['missed']:.0%} missed)" if delay["missed"] else ""))
    return f"| {' | '.join(cells)} |"


def _twice(alarms: Sequence[bool]) -> list[bool]:
    """Return the alarms of a user who waits for a second window in a row."""
    return [now and before for before, now in zip([False, *alarms], alarms, strict=False)]


def _alarms(name: str, parts: Sequence[Stretch]) -> list[dict[str, list[bool]]]:
    """Return for each series the alarms of each rule of a program."""
    if name == "own":
        return [
            {
                "patience 2": own.alarms(part.rows, part.reference),
                "patience 1": own.alarms(part.rows, part.reference, patience=1),
                "beyond the threshold": own.alarms(part.rows, part.reference, state="outside"),
            }
            for part in parts
        ]
    found: list[dict[str, list[bool]]] = []
    for data, series in groupby(parts, key=lambda part: part.name.partition("-")[0]):
        found += _peer_alarms(name, TEXT[data], list(series))
    return [rules | {f"{rule}, twice in a row": _twice(alarms) for rule, alarms in rules.items()} for rules in found]


def _peer_alarms(name: str, text: str, parts: Sequence[Stretch]) -> list[dict[str, list[bool]]]:
    """Return for each series the alarms of each rule of a peer, all from one process, since its imports take seconds."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, f"{number}.csv.gz") for number in range(len(parts))]
        for file, part in zip(files, parts, strict=True):
            part.rows.to_csv(file, index=False)
        command = [python_with(HERE / f"{name}.txt"), HERE / f"with_{name}.py", str(REFERENCE), text, *files]
        quiet = os.environ | {"NML_DISABLE_USAGE_LOGGING": "1", "DO_NOT_TRACK": "1"}  # neither tells its makers of its use
        done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True, check=True, cwd=folder, env=quiet)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


if __name__ == "__main__":
    main()
