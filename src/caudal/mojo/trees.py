"""The trees of GBM and DRF: read from H2O's packed bytes into arrays, and walked by all rows and trees at once.

A node is: type (1 byte: two bits for the form of each child, two for the form of the test), column (2), where missing values go (1), then
a threshold (float32) or a set of categories that go to the right (bits), the length of the left subtree, the left subtree, the right one.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from caudal.mojo.archive import Archive

LEAF_COLUMN = 65535
NA_VERSUS_REST = 1
TO_THE_LEFT = (2, 4)  # a missing value, by what was seen in training or by default
THRESHOLD, CATEGORIES, REST_LEFT = 0, 1, 2
MOST_CELLS = 1 << 20  # rows × trees that are walked at a time


@dataclass(frozen=True)
class Trees:
    """Binary trees as arrays over all their nodes; a leaf is its own child.

    Parameters
    ----------
    roots : int64 [groups, trees], the first node of each tree; a group is what is summed to one number, such as a class
    column, test, threshold, missing_left, left, right, value : [nodes]
    first_bit, bits_from, bit_count : [nodes], where a node's set of categories begins in ``bits``, its first category, and how many it is about
    bits : bool, whether a category goes to the right
    levels : int64 [columns], how many categories a column has; the greatest number for one without
    """

    roots: NDArray[np.int64]
    column: NDArray[np.int64]
    test: NDArray[np.int8]
    threshold: NDArray[np.float64]
    missing_left: NDArray[np.bool_]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    value: NDArray[np.float64]
    first_bit: NDArray[np.int64]
    bits_from: NDArray[np.int64]
    bit_count: NDArray[np.int64]
    bits: NDArray[np.bool_]
    levels: NDArray[np.int64]

    @classmethod
    def of(cls, archive: Archive) -> Trees:
        """Return the trees of an archive."""
        per_class, count = int(archive.number("n_trees_per_class")), int(archive.number("n_trees"))
        classes = int(archive.number("n_classes"))
        growing = _Growing(classes)
        roots = np.zeros((per_class, count), "int64")
        for group in range(per_class):
            for number in range(count):
                name = f"trees/t{group:02d}_{number:03d}.bin"
                # DRF leaves out the trees of a class that its rows did not have.
                roots[group, number] = growing.tree(archive.read(name)) if name in archive.files else growing.leaf(0.0)
        levels = [len(archive.domains[place]) if place in archive.domains else 1 << 62 for place in range(len(archive.columns))]
        return growing.grown(roots, np.asarray(levels, "int64"))

    def sums(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return for each row the sum over the trees of each group, in their order: float64 [n, groups].

        Parameters
        ----------
        rows : float64 [n, columns]; categories as their places, missing and unknown values as NaN
        """
        groups, trees = self.roots.shape
        size = max(1, MOST_CELLS // max(1, groups * trees))
        parts = [self._sums(rows[start : start + size]) for start in range(0, len(rows), size)]
        return np.concatenate(parts) if parts else np.zeros((0, groups))

    def _sums(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        groups, trees = self.roots.shape
        node = np.broadcast_to(self.roots.ravel(), (len(rows), groups * trees)).copy()
        row = np.broadcast_to(np.arange(len(rows))[:, None], node.shape)
        walking = np.ones(node.shape, bool)
        while True:
            at, of = node[walking], row[walking]
            inner = self.left[at] != at
            if not inner.any():
                break
            walking[walking] = inner
            at, of = at[inner], of[inner]
            node[walking] = np.where(self._to_the_right(at, rows[of, self.column[at]]), self.right[at], self.left[at])
        # One after the other, as H2O adds them: another order would change the last bits.
        values = self.value[node].reshape(len(rows), groups, trees)
        summed: NDArray[np.float64] = np.add.accumulate(values, axis=2)[:, :, -1]
        return summed

    def _to_the_right(self, at: NDArray[np.int64], value: NDArray[np.float64]) -> NDArray[np.bool_]:
        missing = np.isnan(value)
        category = np.where(missing, 0.0, np.clip(value, -1.0, 2.0**53)).astype("int64")
        in_set = self.test[at] == CATEGORIES
        bit = category - self.bits_from[at]
        within = (bit >= 0) & (bit < self.bit_count[at])
        missing |= (in_set & ~within) | (category >= self.levels[self.column[at]])
        contained = self.bits[np.where(in_set & within, self.first_bit[at] + bit, 0)]
        right = np.where(in_set, contained, (self.test[at] == THRESHOLD) & (value >= self.threshold[at]))
        return np.where(missing, ~self.missing_left[at], right)


class _Growing:
    """Nodes of trees as they are read."""

    def __init__(self, classes: int) -> None:
        self._small_leaf = 1 if classes < 256 else 2
        self._nodes: list[list[float]] = []
        self._bits: list[NDArray[np.uint8]] = [np.zeros(8, "uint8")]
        self._bit_count = 8

    def leaf(self, value: float) -> int:
        place = len(self._nodes)
        self._nodes.append([0, THRESHOLD, 0.0, False, place, place, value, 0, 0, 0])
        return place

    def tree(self, data: bytes) -> int:
        """Read a tree and return its root."""
        if struct.unpack_from("<H", data, 1)[0] == LEAF_COLUMN:
            return self.leaf(struct.unpack_from("<f", data, 3)[0])
        root = len(self._nodes)
        waiting = [(0, None, 0)]  # where a node's bytes begin, and whose child it is on which side
        while waiting:
            start, parent, side = waiting.pop()
            place, left, right = self._node(data, start)
            if parent is not None:
                self._nodes[parent][side] = place
            for side_, (is_leaf, at) in ((4, left), (5, right)):
                if is_leaf:
                    self._nodes[place][side_] = self.leaf(struct.unpack_from("<f", data, at)[0])
                else:
                    waiting.append((at, place, side_))  # type: ignore[arg-type]
        return root

    def grown(self, roots: NDArray[np.int64], levels: NDArray[np.int64]) -> Trees:
        """Return all that was read."""
        column, test, threshold, missing_left, left, right, value, first_bit, bits_from, bit_count = map(
            np.asarray, zip(*self._nodes, strict=True)
        )
        whole = [part.astype("int64") for part in (column, left, right, first_bit, bits_from, bit_count)]
        return Trees(
            roots, whole[0], test.astype("int8"), threshold.astype("float64"), missing_left.astype(bool), whole[1], whole[2],
            value.astype("float64"), whole[3], whole[4], whole[5], np.concatenate(self._bits).astype(bool), levels,
        )  # fmt: skip

    def _node(self, data: bytes, start: int) -> tuple[int, tuple[bool, int], tuple[bool, int]]:
        """Read an inner node; return its place, and for both children whether they are leaves and where their bytes begin."""
        kind, column, missing = struct.unpack_from("<BHB", data, start)
        at = start + 4
        test, threshold, first_bit, bits_from, bit_count = REST_LEFT, 0.0, 0, 0, 0
        if missing != NA_VERSUS_REST:
            form = kind & 12
            if form == 0:
                test, threshold = THRESHOLD, struct.unpack_from("<f", data, at)[0]
                at += 4
            else:
                test, bytes_ = CATEGORIES, 4
                if form == 12:
                    bits_from, bit_count = struct.unpack_from("<HI", data, at)
                    at, bytes_ = at + 6, (bit_count - 1) // 8 + 1
                bit_count = bit_count or 32
                bits = np.unpackbits(np.frombuffer(data, "uint8", bytes_, at), bitorder="little")
                first_bit = self._bit_count
                self._bits.append(bits)
                self._bit_count += len(bits)
                at += bytes_
        place = len(self._nodes)
        self._nodes.append([column, test, threshold, missing in TO_THE_LEFT, place, place, 0.0, first_bit, bits_from, bit_count])
        form_left, form_right = kind & 51, (kind & 0xC0) >> 2
        if form_left <= 3:
            length = int.from_bytes(data[at : at + form_left + 1], "little")
            at += form_left + 1
        else:
            length = 4 if form_left == 48 else self._small_leaf
        return place, (bool(form_left & 16), at), (bool(form_right & 16), at + length)
