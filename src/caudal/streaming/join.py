"""A join that runs while the streams run: it matches the rows of new versions of its inputs with the other side, and appends the result.

Each commit names the versions that its rows were made of, and the time up to which left rows without a match were written. That is all
the state there is, because what is in memory can be read again from the inputs' tables. So a process that dies before a commit has changed
nothing, and one that dies after it resumes from there. A pair of rows is found when its second row is taken, hence once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from caudal.declarations.join import Join, JoinShape, checked_shape, is_stream, join_shape
from caudal.declarations.node import Node
from caudal.declarations.product import Product
from caudal.engine.marks import KNOWN
from caudal.errors import StepFailed
from caudal.graph.fingerprint import code_of
from caudal.json_value import JsonObject
from caudal.stages.join import has_match, is_known, join_pairs, moments_in_micros, pairs, unmatched
from caudal.storage import delta
from caudal.storage.place import Place
from caudal.storage.sweep import sweep
from caudal.streaming.append import append, compact
from caudal.streaming.side import Fixed, Side
from caudal.tables.added import Lookup, last_commit_with
from caudal.tables.home import Home

_BYTES = 32 << 20  # of rows taken for one commit
_ROWS = 500_000  # left rows that are matched at once
_SLACK_US = 10_000_000  # rows are kept this much longer than declared


class JoinState(NamedTuple):
    """The state of a join's table: its inputs' versions, and the time up to which left rows without a match were written."""

    inputs: Mapping[str, int]
    given_us: int
    code: str
    counts: Mapping[str, int]


class Joining:
    """A join of a stream with another stream or with a table.

    Attributes
    ----------
    counts : rows written, those of them without a match, and pairs that came too late to be written
    waits_for : the input table that has no version yet, or None
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
        """Take what has been published, up to some bytes, and commit the resulting rows; return whether there was anything to
        take."""
        tables = self._against_table(self.right) if isinstance(self.right, Fixed) else self._against_stream(self.right)
        if tables is None:
            return False
        self._commit(tables)
        self._drop_old_rows()
        return True

    def end(self) -> None:
        """Take all that has been published, then write the left rows that still have no match: none will come."""
        while self.step():
            pass
        while self._waiting_until(self._end_us):
            self._commit(self._without_match(self._end_us, []))

    def document(self) -> JsonObject:
        """Return the join's state, JSON-ready."""
        return {**self.counts, "inputs": self.inputs, "held_bytes": self.left.held_bytes, "waits_for": self.waits_for}

    def _against_stream(self, right: Side) -> list[pa.Table] | None:
        tables, overtaken, room = [], [], _BYTES
        shape = self._shape()
        while room > 0 and (
            side := min((candidate for candidate in (self.left, right) if candidate.news), key=_newest, default=None)
        ):
            rows = side.take()
            room -= max(rows.nbytes, 1)
            if side is self.left:
                others = right.near(moments_in_micros(rows, shape.left_at), _within(shape))
                tables.append(join_pairs(rows, others, shape, *pairs(rows, others, shape)))
                overtaken.append(rows.filter(pa.array(moments_in_micros(rows, shape.left_at) < self._given_us)))
            else:
                tables.append(self._pairs_of(rows, shape))
        if shape.how == "left" and (overtaken or self._waiting_until(self._known_us)):
            return [*tables, *self._without_match(self._known_us, overtaken)]
        return tables if room < _BYTES else None

    def _against_table(self, right: Fixed) -> list[pa.Table] | None:
        if not self.left.news:
            return None
        self.waits_for = None if right.renew() else right.name
        if right.rows is None:
            return None
        tables, room, shape = [], _BYTES, self._shape(right.rows.column_names)
        while room > 0 and self.left.news:
            rows = self.left.take()
            room -= max(rows.nbytes, 1)
            tables.append(join_pairs(rows, right.rows, shape, *pairs(rows, right.rows, shape)))
            if shape.how == "left":
                tables.append(self._rows_without_match(rows, right.rows, shape))
        return tables

    def _pairs_of(self, rows: pa.Table, shape: JoinShape) -> pa.Table:
        """Return the pairs of new right rows and left rows, except those whose left row was already written without a match."""
        left = self.left.near(moments_in_micros(rows, str(shape.right_at)), _within(shape))
        left_index, right_index = pairs(left, rows, shape)
        at = moments_in_micros(left, shape.left_at)[left_index]
        if shape.how == "left" and np.any(at < self._given_us):
            earlier = np.unique(left_index[at < self._given_us])
            late = np.zeros(len(left), bool)
            late[earlier] = is_known(
                left.take(pa.array(earlier)),
                self._keys_written_without_match(np.unique(at[at < self._given_us]), shape),
                shape.left_keys,
            )
            self.counts["late"] += int(late[left_index].sum())
            left_index, right_index = left_index[~late[left_index]], right_index[~late[left_index]]
        return join_pairs(left, rows, shape, left_index, right_index)

    def _keys_written_without_match(self, at: np.ndarray, shape: JoinShape) -> pa.Table:
        """Return the keys of the left rows at given times that were written without a match."""
        number = delta.version_of(self._folder)
        fields = [*(self.left.schema.field(name) for name in shape.left_keys), pa.field(shape.matched, pa.timestamp("us", "UTC"))]
        lookup = Lookup(self._folder, shape.left_at, pa.schema(fields))
        rows = lookup.near(number, at, at) if number is not None else lookup.rows([])
        return rows.filter(pc.is_null(rows.column(shape.matched)))

    def _without_match(self, until_us: int, overtaken: list[pa.Table]) -> list[pa.Table]:
        """Return left rows that no match will come for: a stretch of those before ``until_us``, and all of those that were
        overtaken."""
        assert isinstance(self.right, Side)
        shape, tables = self._shape(), list(overtaken)
        while self._given_us < until_us:
            upto = until_us
            while self.left.count(self._given_us, upto) > _ROWS and upto > self._given_us + 1:
                upto = self._given_us + (upto - self._given_us) // 2
            tables.append(self.left.between(self._given_us, upto))
            self._given_us = upto
            if len(tables[-1]):
                break
        rows = pa.concat_tables(tables or [self.left.schema.empty_table()])
        return [self._rows_without_match(rows, self.right.near(moments_in_micros(rows, shape.left_at), _within(shape)), shape)]

    def _rows_without_match(self, rows: pa.Table, others: pa.Table, shape: JoinShape) -> pa.Table:
        without_match = rows.filter(pa.array(~has_match(rows, others, shape)))
        self.counts["unmatched"] += len(without_match)
        return unmatched(without_match, others.schema, shape)

    def _waiting_until(self, until_us: int) -> bool:
        return self.declared.how == "left" and isinstance(self.right, Side) and self._given_us < until_us

    @property
    def _known_us(self) -> int:
        """The time before which left rows have all the matches they will ever have."""
        assert isinstance(self.right, Side)
        return known_until(self._shape(), self.left, self.right)

    @property
    def _end_us(self) -> int:
        return 0 if self.left.newest_us is None else self.left.newest_us + 1

    @property
    def inputs(self) -> dict[str, int]:
        """The input versions that have been taken."""
        return {self.left.name: self.left.version, self.right.name: self.right.version}

    def _shape(self, names: list[str] | None = None) -> JoinShape:
        return join_shape(self.declared, *self._nodes) if names is None else checked_shape(self.declared, *self._nodes, names)

    def _commit(self, tables: list[pa.Table]) -> None:
        """Append rows in one commit that names the input versions; a commit without rows records that there were none."""
        rows = pa.concat_tables(tables)
        self.counts["rows"] += len(rows)
        number = delta.version_of(self._folder)
        identity = {
            "run_id": self._run_id, "step": f"join:{self.declared.name}", "code": code_of(self.declared), "inputs": self.inputs,
            "given_us": self._given_us, "counts": dict(self.counts), "upto": 0 if number is None else number + 1, "at": self._clock(),
        }  # fmt: skip
        partitioned = self.declared.partition is not None
        marks = {name: {KNOWN: moment} for name, moment in self.declared.known.items() if name in rows.column_names}
        append(
            self._folder,
            [rows],
            [],
            moment=str(self.declared.event_time),
            tz=self._tz,
            partitioned=partitioned,
            identity=identity,
            marks=marks,
        )
        compact(self._folder, partitioned=partitioned, identity=identity)

    def _drop_old_rows(self) -> None:
        """Keep in memory only the rows that a punctual row can still match."""
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
        """Resume from what the table's newest commit says."""
        sweep(self._folder)
        state = read_join_state(self.declared, self._nodes, self._folder, folders)
        if state is None:
            return
        if state.code != code_of(self.declared):
            raise StepFailed(
                f"Join '{self.declared.name}' had another declaration when its table was created.",
                fix="Make it anew: caudal run.", where=str(self.declared.where), table=self.declared.name,
            )  # fmt: skip
        for side, folder in zip((self.left, self.right), folders, strict=True):
            number, newest = state.inputs[side.name], delta.version_of(folder)
            if number > (-1 if newest is None else newest):
                raise StepFailed(
                    f"Join '{self.declared.name}' holds '{side.name}' up to version {number}, but that table has {newest} at most.",
                    fix=f"Move {self._folder} away; it is made again from what there is.", table=self.declared.name,
                )  # fmt: skip
            if isinstance(side, Side):
                side.resume(number, self._reach_us)
        self._given_us = state.given_us
        self.counts |= state.counts


def read_join_state(declared: Join, nodes: tuple[Node, Node], folder: Place, folders: Sequence[Place]) -> JoinState | None:
    """Return the state of a join's table, written by a run or a stream; None if there is no table."""
    commit = last_commit_with(folder, "inputs")
    if commit is None:
        return None
    number, identity = commit
    given_us = identity.get("given_us")
    if given_us is None:  # written by a run, which gives what a stream would have given
        given_us = given_at(declared, nodes, folders, identity["inputs"])
    counts = identity.get("counts") or {"rows": delta.read_version(folder, number).rows}
    return JoinState(identity["inputs"], given_us, identity["code"], counts)


def given_at(declared: Join, nodes: tuple[Node, Node], folders: Sequence[Place], inputs: Mapping[str, int]) -> int:
    """Return the time up to which left rows without a match are written, at given versions of the inputs; microseconds."""
    if declared.how != "left" or not all(map(is_stream, nodes)):
        return 0
    sides = [Side(node, folder) for node, folder in zip(nodes, folders, strict=True)]
    for side in sides:
        side.newest_us = side.newest_at(inputs[side.name])
    return known_until(join_shape(declared, *nodes), *sides)


def known_until(shape: JoinShape, left: Side, right: Side) -> int:
    """Return the time before which left rows have all the matches they will ever have: the smaller watermark less ``within``."""
    if left.newest_us is None or right.newest_us is None:
        return 0
    return max(min(left.newest_us - left.late_us, right.newest_us - right.late_us) - _within(shape), 0)


def _newest(side: Side) -> int:
    return -1 if side.newest_us is None else side.newest_us


def _within(shape: JoinShape) -> int:
    assert shape.within_us is not None
    return shape.within_us
