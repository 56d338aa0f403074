"""A join at work beside the streams: what new versions of its inputs have added is looked up on the other side, and appended.

Each commit names the versions that its rows were made of, and up to when left rows without a match have been given: that is all
that there is to remember, for what is in memory can be read again from the inputs' tables. So who dies before a commit has done
nothing, and who dies after it goes on from there. A pair of rows is found by the one that is taken second, hence once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from caudal.declarations.join import Join, Shape, is_stream, settled, shape
from caudal.declarations.node import Node
from caudal.declarations.product import Product
from caudal.engine.marks import KNOWN
from caudal.errors import StepFailed
from caudal.graph.fingerprint import code_of
from caudal.json_value import JsonObject
from caudal.stages.join import has_match, is_known, join_pairs, micros, pairs, unmatched
from caudal.storage import delta
from caudal.storage.place import Place
from caudal.streaming.append import append, compact
from caudal.streaming.side import Fixed, Side
from caudal.tables.added import Lookup, last_said
from caudal.tables.home import Home

_BYTES = 32 << 20  # rows taken for one commit
_ROWS = 500_000  # left rows that are asked at once whether they have a match
_SLACK_US = 10_000_000  # remembered beyond what is declared


class Standing(NamedTuple):
    """What a join's table says of itself: the inputs' versions that are in it, and up to when left rows were given without a match."""

    inputs: Mapping[str, int]
    given_us: int
    code: str
    counts: Mapping[str, int]


class Joining:
    """A join of a stream with another, or with a table.

    Attributes
    ----------
    counts : rows given, those of them without a match, and pairs that came too late to be given
    waits_for : the table that has no version yet, or None
    """

    def __init__(self, product: Product, declared: Join, home: Home, run_id: str, clock: Callable[[], float] = time.time) -> None:
        nodes = (product.nodes[declared.left], product.nodes[declared.right])
        self.declared, self._tz, self._run_id, self._clock = declared, product.tz, run_id, clock
        self._folder, self._nodes = home.table(product.name, declared.name), nodes
        folders = [home.table(product.name, node.name) for node in nodes]
        self.left = Side(nodes[0], folders[0])
        self.right: Side | Fixed = Side(nodes[1], folders[1]) if is_stream(nodes[1]) else Fixed(nodes[1], folders[1])
        self.counts = {"rows": 0, "unmatched": 0, "late": 0}
        self.waits_for: str | None = None
        self._given_us = 0
        self._resume(folders)

    def step(self) -> bool:
        """Take what has been published, up to some bytes, and commit what follows from it; tell whether there was anything."""
        made = self._against_table(self.right) if isinstance(self.right, Fixed) else self._against_stream(self.right)
        if made is None:
            return False
        self._commit(made)
        self._forget()
        return True

    def end(self) -> None:
        """Take all that has been published, then give what left rows are still without a match: none will come."""
        while self.step():
            pass
        while self._waiting_until(self._end_us):
            self._commit(self._without_match(self._end_us, []))

    def document(self) -> JsonObject:
        """Return how it stands, JSON-ready."""
        return {**self.counts, "inputs": self.inputs, "held_bytes": self.left.held_bytes, "waits_for": self.waits_for}

    def _against_stream(self, right: Side) -> list[pa.Table] | None:
        found, overtaken, room = [], [], _BYTES
        shape = self._shape()
        while room > 0 and (side := min((one for one in (self.left, right) if one.news), key=_newest, default=None)):
            rows = side.take()
            room -= max(rows.nbytes, 1)
            if side is self.left:
                others = right.near(micros(rows, shape.left_at), _within(shape))
                found.append(join_pairs(rows, others, shape, *pairs(rows, others, shape)))
                overtaken.append(rows.filter(pa.array(micros(rows, shape.left_at) < self._given_us)))
            else:
                found.append(self._found_by(rows, shape))
        if shape.how == "left" and (overtaken or self._waiting_until(self._known_us)):
            return [*found, *self._without_match(self._known_us, overtaken)]
        return found if room < _BYTES else None

    def _against_table(self, right: Fixed) -> list[pa.Table] | None:
        if not self.left.news:
            return None
        self.waits_for = None if right.renew() else right.name
        if right.rows is None:
            return None
        found, room, shape = [], _BYTES, self._shape(right.rows.column_names)
        while room > 0 and self.left.news:
            rows = self.left.take()
            room -= max(rows.nbytes, 1)
            found.append(join_pairs(rows, right.rows, shape, *pairs(rows, right.rows, shape)))
            if shape.how == "left":
                found.append(self._alone(rows, right.rows, shape))
        return found

    def _found_by(self, rows: pa.Table, shape: Shape) -> pa.Table:
        """Return the pairs of new right rows and left rows; not those whose left row was given without a match."""
        left = self.left.near(micros(rows, str(shape.right_at)), _within(shape))
        mine, theirs = pairs(left, rows, shape)
        at = micros(left, shape.left_at)[mine]
        if shape.how == "left" and np.any(at < self._given_us):
            old = np.unique(mine[at < self._given_us])
            late = np.zeros(len(left), bool)
            late[old] = is_known(
                left.take(pa.array(old)), self._given_alone(np.unique(at[at < self._given_us]), shape), shape.left_keys
            )
            self.counts["late"] += int(late[mine].sum())
            mine, theirs = mine[~late[mine]], theirs[~late[mine]]
        return join_pairs(left, rows, shape, mine, theirs)

    def _given_alone(self, at: Any, shape: Shape) -> pa.Table:
        """Return the keys of left rows of some times that were given without a match."""
        number = delta.version_of(self._folder)
        fields = [*(self.left.schema.field(name) for name in shape.left_keys), pa.field(shape.matched, pa.timestamp("us", "UTC"))]
        lookup = Lookup(self._folder, shape.left_at, pa.schema(fields))
        rows = lookup.near(number, at, at) if number is not None else lookup.rows([])
        return rows.filter(pc.is_null(rows.column(shape.matched)))

    def _without_match(self, until_us: int, overtaken: list[pa.Table]) -> list[pa.Table]:
        """Return left rows that no match will come for, of those before ``until_us`` a stretch, and of those that were overtaken all."""
        assert isinstance(self.right, Side)
        shape, asked = self._shape(), list(overtaken)
        while self._given_us < until_us:
            upto = until_us
            while self.left.count(self._given_us, upto) > _ROWS and upto > self._given_us + 1:
                upto = self._given_us + (upto - self._given_us) // 2
            asked.append(self.left.between(self._given_us, upto))
            self._given_us = upto
            if len(asked[-1]):
                break
        rows = pa.concat_tables(asked or [self.left.schema.empty_table()])
        return [self._alone(rows, self.right.near(micros(rows, shape.left_at), _within(shape)), shape)]

    def _alone(self, rows: pa.Table, others: pa.Table, shape: Shape) -> pa.Table:
        lone = rows.filter(pa.array(~has_match(rows, others, shape)))
        self.counts["unmatched"] += len(lone)
        return unmatched(lone, others.schema, shape)

    def _waiting_until(self, until_us: int) -> bool:
        return self.declared.how == "left" and isinstance(self.right, Side) and self._given_us < until_us

    @property
    def _known_us(self) -> int:
        """Left rows from before this moment have all the matches that they will have."""
        assert isinstance(self.right, Side)
        return known_until(self._shape(), self.left, self.right)

    @property
    def _end_us(self) -> int:
        return 0 if self.left.newest_us is None else self.left.newest_us + 1

    @property
    def inputs(self) -> dict[str, int]:
        """The versions that have been taken."""
        return {self.left.name: self.left.version, self.right.name: self.right.version}

    def _shape(self, names: list[str] | None = None) -> Shape:
        return shape(self.declared, *self._nodes) if names is None else settled(self.declared, *self._nodes, names)

    def _commit(self, made: list[pa.Table]) -> None:
        """Append rows in one commit that names what they were made of; a commit without rows says that there were none."""
        rows = pa.concat_tables(made)
        self.counts["rows"] += len(rows)
        number = delta.version_of(self._folder)
        said = {
            "run_id": self._run_id, "step": f"join:{self.declared.name}", "code": code_of(self.declared), "inputs": self.inputs,
            "given_us": self._given_us, "counts": dict(self.counts), "upto": 0 if number is None else number + 1, "at": self._clock(),
        }  # fmt: skip
        partitioned = self.declared.partition is not None
        marks = {name: {KNOWN: told} for name, told in self.declared.known.items() if name in rows.column_names}
        append(
            self._folder,
            [rows],
            [],
            moment=str(self.declared.event_time),
            tz=self._tz,
            partitioned=partitioned,
            identity=said,
            marks=marks,
        )
        compact(self._folder, partitioned=partitioned, identity=said)

    def _forget(self) -> None:
        """Keep in memory what rows that come in time can still ask for."""
        reach, sides = self._reach_us, [self.left, *([self.right] if isinstance(self.right, Side) else [])]
        behind = min((side.newest_us for side in sides if side.newest_us is not None), default=0)
        for side in sides:
            if side.newest_us is not None:
                side.forget(max(behind - reach, side.newest_us - 2 * reach))

    @property
    def _reach_us(self) -> int:
        late = self.left.late_us + (self.right.late_us if isinstance(self.right, Side) else 0)
        return late + round((self.declared.within_s or 0) * 1e6) + _SLACK_US

    def _resume(self, folders: Sequence[Place]) -> None:
        """Go on from what the table's newest commit says."""
        delta.sweep(self._folder)
        said = standing(self.declared, self._nodes, self._folder, folders)
        if said is None:
            return
        if said.code != code_of(self.declared):
            raise StepFailed(
                f"Join '{self.declared.name}' was declared otherwise when its table was made.",
                fix="Make it anew: caudal run.", where=str(self.declared.where), table=self.declared.name,
            )  # fmt: skip
        for one, folder in zip((self.left, self.right), folders, strict=True):
            number, has = said.inputs[one.name], delta.version_of(folder)
            if number > (-1 if has is None else has):
                raise StepFailed(
                    f"Join '{self.declared.name}' holds '{one.name}' up to version {number}, but that table has {has} at most.",
                    fix=f"Move {self._folder} away; it is made again from what there is.", table=self.declared.name,
                )  # fmt: skip
            if isinstance(one, Side):
                one.resume(number, self._reach_us)
        self._given_us = said.given_us
        self.counts |= said.counts


def standing(declared: Join, nodes: tuple[Node, Node], folder: Place, folders: Sequence[Place]) -> Standing | None:
    """Return how a join's table stands, whoever has made it; None where there is none."""
    found = last_said(folder, "inputs")
    if found is None:
        return None
    number, said = found
    given_us = said.get("given_us")
    if given_us is None:  # made whole, by a run: it gave what a stream would have given
        given_us = given_at(declared, nodes, folders, said["inputs"])
    counts = said.get("counts") or {"rows": delta.read(folder, number).rows}
    return Standing(said["inputs"], given_us, said["code"], counts)


def given_at(declared: Join, nodes: tuple[Node, Node], folders: Sequence[Place], inputs: Mapping[str, int]) -> int:
    """Return up to when left rows without a match are given at versions of the inputs, microseconds."""
    if declared.how != "left" or not all(map(is_stream, nodes)):
        return 0
    sides = [Side(node, folder) for node, folder in zip(nodes, folders, strict=True)]
    for side in sides:
        side.newest_us = side.newest_at(inputs[side.name])
    return known_until(shape(declared, *nodes), *sides)


def known_until(shape: Shape, left: Side, right: Side) -> int:
    """Return the moment before which left rows have all the matches that they will have: both watermarks less ``within``."""
    if left.newest_us is None or right.newest_us is None:
        return 0
    return max(min(left.newest_us - left.late_us, right.newest_us - right.late_us) - _within(shape), 0)


def _newest(side: Side) -> int:
    return -1 if side.newest_us is None else side.newest_us


def _within(shape: Shape) -> int:
    assert shape.within_us is not None
    return shape.within_us
