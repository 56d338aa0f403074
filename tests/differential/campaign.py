"""Histories are drawn and played, so many or for so long; the first that differs is made shorter, written to a folder, and told."""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.differential.grammar import Grammar
from tests.differential.histories import History, drawn
from tests.differential.oracle import Difference, judge
from tests.differential.reduction import reduced, write

SECONDS = float(os.environ.get("DIFFERENTIAL_SECONDS", "0"))
# Where no time is given: so many products, each of many stretches, for what a run costs is mostly its plans; on a slow machine fewer.
EXAMPLES = int(os.environ.get("DIFFERENTIAL_EXAMPLES", "1"))
BUDGET_S = 90.0
STRETCHES = 8
MOMENTS = 3 if SECONDS else 2
DEPTH = 3 if SECONDS else 2
# Of seed 55 the sources have either clock and two formats, four tables look at one another, and the zone changes its clocks at midnight.
SEED = int(os.environ.get("DIFFERENTIAL_SEED", "0" if SECONDS else "55"))
FRESH: Any = os.environ.get("DIFFERENTIAL_FRESH", "each" if SECONDS else "last")
REDUCE_S = 120.0


def play(grammar: Grammar, number: int, root: Path, counts: Counter[str]) -> None:
    """Play the histories of a seed; where they differ, a shorter one is written to a folder, and told."""
    history = drawn(number, grammar, stretches=STRETCHES, moments=MOMENTS)
    difference, compared = judge(history, emptied(root / "place"), fresh=FRESH)
    counts.update({"products": 1, "histories": len(history.product.sources) * history.stretches})
    counts.update(compared)
    if difference is not None:
        raise AssertionError(told(history, difference, number, root))


def told(history: History, difference: Difference, number: int, root: Path) -> str:
    """Return what differs, with the folder in which the smallest history lies that differs in the same table."""
    last = [difference]

    def differs(smaller: History) -> bool:
        seen, _ = judge(smaller, emptied(root / "smaller"), fresh=FRESH)
        if seen is not None and (seen.table, seen.between) == (difference.table, difference.between):
            last[0] = seen
            return True
        return False

    smallest = reduced(history, difference.table, differs, REDUCE_S)
    folder = emptied(Path(os.environ.get("DIFFERENTIAL_FOLDER", root / "found")) / f"seed-{number}")
    names = [table.name for table in smallest.product.tables] + [source.name for source in smallest.product.sources]
    write(smallest, folder, f"seed {number}, zone {history.product.zone}\n{last[0]}", names)
    return f"{last[0]}\n\nzone {history.product.zone}; play it: sh {folder}/replay.sh WORK\n\n{(folder / str(len(smallest.moments) - 1) / 'drawn' / 'product.py').read_text()}"


def emptied(folder: Path) -> Path:
    """Return a folder with nothing in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def hold(grammar: Grammar, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Hold that increments equal fresh runs and the reference, for the histories that were asked for; print seeds and counts."""
    counts: Counter[str] = Counter()
    began = time.monotonic()
    number = SEED - 1
    try:
        while number < SEED or (time.monotonic() < began + (SECONDS or BUDGET_S) and (SECONDS or number < SEED + EXAMPLES - 1)):
            number += 1
            play(grammar, number, root, counts)
    finally:
        with capsys.disabled():
            told_of = ", ".join(f"{count:,} {name}" for name, count in counts.items())
            print(f"\n{'/'.join(grammar.clocks)}, seeds {SEED} to {number}: {told_of} in {time.monotonic() - began:.0f} s")
    assert counts["histories"] >= grammar.lanes * STRETCHES
    assert counts["compared with a fresh run"] >= 2
