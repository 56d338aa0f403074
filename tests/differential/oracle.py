"""The oracle: a history is played moment by moment; after each, what is published equals a fresh run and the reference, row for row."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tests.differential.fresh import Failed, Place, World, multiset, rows_of
from tests.differential.histories import History
from tests.differential.reference import Rows, evaluate

Fresh = Literal["each", "last", "none"]
DIGITS = 10  # a sum of thirds is right to fifteen; increments and fresh runs are compared to the bit


@dataclass(frozen=True)
class Difference:
    """Two answers to one question."""

    moment: int
    table: str
    between: str
    what: str

    def __str__(self) -> str:
        return f"after moment {self.moment}, table '{self.table}', {self.between}: {self.what}"


def judge(history: History, root: Path, *, fresh: Fresh = "each") -> tuple[Difference | None, Counter[str]]:
    """Play a history and return the first difference, if there is one, and how much was compared.

    Parameters
    ----------
    fresh : after which moments a fresh run is made to compare with: after each but the first (which is one), the last, or none; the
        reference is compared with after all
    """
    world = World(history, root)
    for number, moment in enumerate(history.moments):
        try:
            world.play(moment)
        except Failed as error:
            return Difference(number, "", "the run failed", str(error)), world.counts
        try:
            last = number == len(history.moments) - 1
            beside = world.fresh() if number and (fresh == "each" or (fresh == "last" and last)) else None
        except Failed as error:
            return Difference(number, "", "the fresh run failed", str(error)), world.counts
        if (difference := _compared(world, number, beside)) is not None:
            return difference, world.counts
    return None, world.counts


def _compared(world: World, number: int, beside: Place | None) -> Difference | None:
    tables, aside = evaluate(world.product, world.source_rows())
    for name, rows in tables.items():
        published = rows_of(world.steadily.home, "drawn", name)
        assert published is not None
        if beside is not None:
            for quarantine in (False, True):
                one, other = (rows_of(home, "drawn", name, quarantine=quarantine) for home in (world.steadily.home, beside.home))
                world.counts["compared with a fresh run"] += 1
                if what := _unlike(one, other):
                    return Difference(
                        number,
                        name,
                        "quarantine of the increments ≠ of a fresh run" if quarantine else "increments ≠ fresh run",
                        what,
                    )
        world.counts["compared with the reference"] += 1
        columns = [column for column in published[0] if column != "_day" and not column.casefold().startswith(("extra", "w_t"))]
        expected = rows
        if expected and set(expected[0]) != set(columns):
            return Difference(number, name, "columns", f"{sorted(columns)} ≠ {sorted(expected[0])}")
        if what := _said(
            multiset(published[1], columns, DIGITS), multiset(expected, columns, DIGITS) if expected else Counter(), columns
        ):
            return Difference(number, name, "increments ≠ reference", what)
        quarantined = rows_of(world.steadily.home, "drawn", name, quarantine=True)
        if (count := len(quarantined[1]) if quarantined else 0) != aside[name]:
            return Difference(number, name, "quarantine ≠ reference", f"{count} rows, {aside[name]} expected")
    return None


Published = tuple[dict[str, str], Rows] | None


def _unlike(one: Published, other: Published) -> str | None:
    """Return how two publications differ; one without rows and none are alike."""
    if one is None or other is None:
        rows = (one or other or ({}, []))[1]
        return f"{len(rows)} rows in one of them only" if rows else None
    if one[0] != other[0] and (one[1] or other[1]):
        return f"columns {one[0]} ≠ {other[0]}"
    columns = list(one[0])
    return _said(multiset(one[1], columns), multiset(other[1], columns), columns)


def _said(have: Counter[Any], want: Counter[Any], columns: list[str]) -> str | None:
    if have == want:
        return None
    lines = [f"{sum((have - want).values())} rows too many, {sum((want - have).values())} missing ({', '.join(columns)})"]
    for sign, rows in (("-", want - have), ("+", have - want)):
        lines += [f"  {sign} {', '.join(str(value) for _, value in row)}" for row in sorted(rows, key=repr)[:4]]
    return "\n".join(lines)
