"""Merge partials of the same panes; their order does not matter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from caudal.stages.statistics.partial import Partials
from caudal.stages.statistics.sketch import merge_sketch, sketch_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from caudal.stages.statistics.numbering import Integers

MANY = 4096  # samples of a group; beyond it, a sketch has fewer keys than there are readings


def merge_partials(parts: Sequence[Partials], gap_us: int = 0) -> Partials:
    """Return the sum of partials: counts and sums added, bounds widened, samples gathered in order.

    Parameters
    ----------
    gap_us : gap of sessions; sessions with a smaller gap between them become one
    """
    parts = [part for part in parts if len(part)] or list(parts[:1])
    if len(parts) == 1:
        return parts[0]
    group = np.concatenate([part.group for part in parts])
    if gap_us:
        order, starts = _sessions(_all(parts, "device"), _all(parts, "oldest"), _all(parts, "newest"), gap_us)
    else:
        order = np.argsort(group, kind="stable")
        starts = np.flatnonzero(np.concatenate(([True], group[order][1:] != group[order][:-1])))
    group = group[order]
    first_rows = order[starts]
    loose, sketch = _all(parts, "loose"), _all(parts, "sketch", 1)
    if gap_us:
        session_of = np.repeat(group[starts], np.diff(np.append(starts, len(group))))
        loose = session_of[np.searchsorted(group, loose)]
        sketch = np.stack([session_of[np.searchsorted(group, sketch[0])], *sketch[1:]])

    def add_up(name: str, axis: int = 0) -> np.ndarray:
        return np.add.reduceat(np.take(_all(parts, name, axis), order, axis=axis), starts, axis=axis)

    loose, keys, sketch = _move_to_sketch(group[starts], loose, _all(parts, "keys"), sketch)
    kept_samples, values = _all(parts, "kept"), _all(parts, "values")
    line = np.lexsort((kept_samples[:, 2], kept_samples[:, 1], kept_samples[:, 0]))
    return Partials(
        _all(parts, "device")[first_rows], _all(parts, "pane")[first_rows], add_up("samples"),
        np.minimum.reduceat(_all(parts, "oldest")[order], starts), np.maximum.reduceat(_all(parts, "newest")[order], starts), add_up("count"),
        np.minimum.reduceat(_all(parts, "low")[order], starts, axis=0), np.maximum.reduceat(_all(parts, "high")[order], starts, axis=0),
        add_up("sums", 1), add_up("squares", 1), add_up("ranges"), loose, keys, sketch, kept_samples[line], values[line],
    )  # fmt: skip


def _sessions(device: Integers, oldest: Integers, newest: Integers, gap_us: int) -> tuple[Integers, Integers]:
    """Return the order of sessions' pieces by device and time, and which of the ordered pieces begin a session."""
    order = np.lexsort((oldest, device))
    # The greatest end so far, per device, as a position in the order of ends: those of a later device all come later.
    by_end = np.lexsort((newest, device))
    place = np.empty(len(device), np.int64)
    place[by_end] = np.arange(len(device))
    reach = newest[by_end][np.maximum.accumulate(place[order])]
    device, oldest = device[order], oldest[order]
    begins = np.concatenate(([True], (device[1:] != device[:-1]) | (oldest[1:] - reach[:-1] > gap_us)))
    return order, np.flatnonzero(begins)


def _move_to_sketch(
    group: Integers, loose: Integers, keys: NDArray[np.int16], sketch: Integers
) -> tuple[Integers, NDArray[np.int16], Integers]:
    """Return the loose samples and the sketch; groups with too many loose samples are moved into the sketch."""
    at = np.searchsorted(group, loose)
    is_large = (np.bincount(at, minlength=len(group)) > MANY)[at]
    if not is_large.any():
        return loose, keys, merge_sketch(sketch)
    return (
        loose[~is_large],
        keys[~is_large],
        merge_sketch(np.concatenate([sketch, sketch_of(loose[is_large], keys[is_large])], axis=1)),
    )


def _all(parts: Sequence[Partials], name: str, axis: int = 0) -> np.ndarray:
    return np.concatenate([getattr(part, name) for part in parts], axis=axis)
