"""``python -m benchmarks.monitor``: false alarms on undisturbed windows and delay after a change of known size, beside Evidently and NannyML with their defaults.

Every program sees the same windows, one after another. ``--only own`` leaves the peers out; their environments (0.7 and 1.8 GB) are kept in the user's cache.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
from pathlib import Path

from benchmarks.environment import python_with
from benchmarks.monitor import own
from benchmarks.monitor.cost import cost
from benchmarks.monitor.series import CHANGES, Stretch, stretch

HERE = Path(__file__).parent
PEERS = ("evidently", "nannyml")
TEXT = {"taxi": "payment_type,PULocationID", "bikes": "weathersit"}
CALM_WINDOWS, REFERENCE, AFTER = 180, 60, 30
ONSET = REFERENCE + 20


def main() -> None:
    """Print a table of false alarms and delays."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=("own", *PEERS), action="append")
    parser.add_argument("--cost", type=int, metavar="ROWS", help="measure what a monitor costs instead")
    parser.add_argument("--calm", type=int, metavar="WINDOWS", help="only false alarms, on so many windows of each order")
    parser.add_argument("--seeds", type=int, default=5, help="orders of the windows  [default: 5]")
    options = parser.parse_args()
    if options.cost:
        print(json.dumps(cost(options.cost)))
        return
    names = options.only or ["own", *PEERS]
    windows = REFERENCE + options.calm if options.calm else CALM_WINDOWS
    calm = [stretch(data, seed, windows, REFERENCE) for data in TEXT for seed in range(options.seeds)]
    changed = [
        stretch(change.data, 100 + seed, ONSET + AFTER, REFERENCE, change, ONSET)
        for change in (() if options.calm else CHANGES)
        for seed in range(options.seeds)
    ]
    for name in names:
        for rule, figures in _figures(name, calm, changed).items():
            print(json.dumps({"program": name, "rule": rule, **figures}), flush=True)


def _figures(name: str, calm: list[Stretch], changed: list[Stretch]) -> dict[str, dict[str, object]]:
    """Return for each rule of a program: false alarms in 1,000 windows, and for each change the median delay in windows and how often it was missed."""
    false = [_alarms(name, part) for part in calm]
    after_change = [_alarms(name, part) for part in changed]
    figures: dict[str, dict[str, object]] = {}
    for rule in false[0]:
        raised = {data: [] for data in TEXT}  # type: dict[str, list[bool]]
        for part, alarms in zip(calm, false, strict=True):
            raised[part.name.partition("-")[0]] += alarms[rule]
        delays: dict[str, list[int | None]] = {}
        for part, alarms in zip(changed, after_change, strict=True):
            after = alarms[rule][ONSET - REFERENCE :]
            delays.setdefault(f"{part.name.partition('-')[0]}: {part.change}", []).append(
                next((n + 1 for n, alarm in enumerate(after) if alarm), None)
            )
        figures[rule] = {
            "false_alarms_per_1000": {data: round(1000 * sum(values) / len(values), 1) for data, values in raised.items()},
            "windows": {data: len(values) for data, values in raised.items()},
            "delay": {words: _delay(values) for words, values in delays.items()},
        }
    return figures


def _delay(values: list[int | None]) -> dict[str, object]:
    """Return the median number of windows until the first alarm, and the share of series without one."""
    median = statistics.median(AFTER + 1 if value is None else value for value in values)
    return {"median": None if median > AFTER else median, "missed": sum(value is None for value in values) / len(values)}


def _alarms(name: str, part: Stretch) -> dict[str, list[bool]]:
    if name == "own":
        return {
            "patience 2": own.alarms(part.rows, part.reference),
            "patience 1": own.alarms(part.rows, part.reference, patience=1),
            "beyond the threshold": own.alarms(part.rows, part.reference, state="outside"),
        }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "rows.csv.gz")
        part.rows.to_csv(file, index=False)
        command = [
            str(python_with(HERE / f"{name}.txt")),
            str(HERE / f"with_{name}.py"),
            str(file),
            str(part.reference),
            TEXT[part.name.partition("-")[0]],
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    return dict(json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    main()
