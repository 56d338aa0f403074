"""A home in which two streams publish as a test says, and a join that follows them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

import caudal as cd
from caudal.storage import delta
from caudal.streaming.append import append, compact
from caudal.streaming.join import Joining
from caudal.tables.frames import arrow
from caudal.tables.home import Home

MIDNIGHT_US = 1_700_006_400_000_000
T0 = MIDNIGHT_US - 20_000_000
WITHIN_S, LATE_S = 2, 1


class Row(NamedTuple):
    """A sample; what it holds follows from what names it."""

    device: int
    seq: int
    at_s: int

    @property
    def value(self) -> float:
        """Its reading."""
        return float(self.seq * 100 + self.at_s)


def product(how: str = "inner", on: Any = ("device", "seq"), within: Any = WITHIN_S, **more: Any) -> cd.Product:
    """Return a product with a join of two streams."""
    made = cd.Product("p")
    left = made.source("a", cd.stream(channels=["x"]), late=LATE_S, **more)
    right = made.source("b", cd.stream(channels=["y"]), late=LATE_S, **more)
    made.join("ab", left, right, on=on, within=within, how=how)
    return made


def table(rows: list[Row], channel: str) -> pa.Table:
    """Return samples as they are captured."""
    at = pa.array([T0 + row.at_s * 1_000_000 for row in rows], pa.int64()).cast(pa.timestamp("us", "UTC"))
    device, seq = (pa.array([getattr(row, name) for row in rows], pa.int64()) for name in ("device", "seq"))
    return pa.table([device, seq, at, pa.array([row.value for row in rows], pa.float32())], names=["device", "seq", "at", channel])


class World:
    """A home in which streams publish, and a join that follows them."""

    def __init__(self, folder: str, made: cd.Product) -> None:
        self.home, self.product, self.starts = Home(Path(folder)), made, 0
        self.restart()

    def folder(self, name: str) -> Path:
        return self.home.table("p", name)

    def publish(self, name: str, rows: list[Row]) -> None:
        number = delta.version_of(self.folder(name))
        append(
            self.folder(name), [table(rows, {"a": "x", "b": "y"}[name])], [], **self.how(name, 0 if number is None else number + 1)
        )

    def together(self, name: str) -> None:
        """Put small files together, as streams do from time to time."""
        if (number := delta.version_of(self.folder(name))) is not None:
            said = self.how(name, number + 1)
            compact(self.folder(name), partitioned=said["partitioned"], identity=said["identity"])

    def how(self, name: str, number: int) -> dict[str, Any]:
        partitioned = self.product.nodes[name].partition is not None
        said = {"run_id": f"r{self.starts}", "upto": number, "step": f"stream:{name}"}
        return {"moment": "at", "tz": "UTC", "partitioned": partitioned, "identity": said}

    def restart(self) -> None:
        self.starts += 1
        self.joining = Joining(self.product, self.product.nodes["ab"], self.home, f"run-{self.starts}")

    def rows(self) -> list[tuple[Row, Row | None]]:
        """Return the pairs in the join's table."""
        if delta.version_of(self.folder("ab")) is None:
            return []
        found = []
        for row in arrow(delta.read_version(self.folder("ab"))).to_pylist():
            mine = Row(row["device"], row["seq"], _second(row["at"]))
            assert row["x"] == mine.value
            theirs = None if row["b_at"] is None else Row(row["device"], row.get("b_seq", row["seq"]), _second(row["b_at"]))
            assert theirs is None or row["y"] == theirs.value
            found.append((mine, theirs))
        return found


def _second(moment: Any) -> int:
    return round(moment.timestamp() - T0 / 1e6)


def brute(left: list[Row], right: list[Row], on: tuple[str, ...]) -> set[tuple[Row, Row]]:
    """Return the pairs, each asked for by itself."""
    return {
        (mine, theirs)
        for mine in set(left)
        for theirs in set(right)
        if all(getattr(mine, name) == getattr(theirs, name) for name in on) and abs(mine.at_s - theirs.at_s) <= WITHIN_S
    }
