"""Folds over time with an embargo: before a cut, training uses only labels known by then."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from caudal.declarations.duration import text
from caudal.declarations.model import Hashed, Temporal, TemporalRows
from caudal.errors import DeclarationProblem, StepFailed, nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_TRAIN_ROWS = 10
US = 1_000_000  # microseconds a second; they reach the year 9999, nanoseconds only 2262


@dataclass(frozen=True)
class Fold:
    """Rows to learn from and rows to test on, by position.

    Parameters
    ----------
    cut, until : the test stretch: rows with ``cut < as_of <= until``
    train : int64 [n], positions of rows with ``as_of + horizon + gap <= cut``
    test : int64 [m]
    """

    cut: pd.Timestamp
    until: pd.Timestamp
    train: NDArray[np.int64]
    test: NDArray[np.int64]


def folds(as_of: pd.Series, split: Temporal, horizon_s: float, model: str = "") -> tuple[Fold, ...]:
    """Return the last ``split.folds`` folds over time, oldest first.

    The newest test stretch ends with the newest row; each earlier one ends ``step_s`` (by default ``test_s``) before the next.
    Stretches without a row are skipped. With ``train_s``, the training stretch is the last ``train_s`` whose labels are known.

    Parameters
    ----------
    as_of : Series of datetime64, sorted, one per row with a known label

    Raises
    ------
    StepFailed : the data do not reach back far enough; the error has the figures
    """
    zone = as_of.dt.tz
    times = (as_of if zone is None else as_of.dt.tz_convert("UTC").dt.tz_localize(None)).to_numpy("datetime64[us]").astype("int64")
    test, step, horizon = (round(length * US) for length in (split.test_s, split.step_s or split.test_s, horizon_s + split.gap_s))
    train = None if split.train_s is None else round(split.train_s * US)
    start_us, end_us = int(times[0]), int(times[-1])

    def stamp(at: int) -> pd.Timestamp:
        return pd.Timestamp(at, unit="us") if zone is None else pd.Timestamp(at, unit="us", tz="UTC").tz_convert(zone)

    folds_: list[Fold] = []
    steps_back = 0
    while len(folds_) < split.folds and end_us - steps_back * step >= start_us:
        until = end_us - steps_back * step
        cut = until - test
        tested = np.arange(np.searchsorted(times, cut, "right"), np.searchsorted(times, until, "right"))
        if not tested.size:  # a gap in the data: continue with the stretch that holds the next older row
            older = np.searchsorted(times, cut, "right") - 1
            if older < 0:
                break
            steps_back = max(steps_back + 1, (end_us - int(times[older])) // step)
            continue
        train_end = np.searchsorted(times, cut - horizon, "right")
        start = 0 if train is None else np.searchsorted(times, cut - horizon - train, "right")
        if train_end - start < MIN_TRAIN_ROWS:
            break
        folds_.append(Fold(stamp(cut), stamp(until), np.arange(start, train_end), tested))
        steps_back += 1
    if len(folds_) < split.folds:
        raise StepFailed(
            f"Model '{model}' needs {split.folds} test stretches of {text(split.test_s)}, each with at least {MIN_TRAIN_ROWS} rows before it "
            f"whose label is known {text(horizon_s) if horizon_s else 'at once'}; {len(times):,} labelled rows from {stamp(start_us)} to "
            f"{stamp(end_us)} ({_span_text(end_us - start_us)}) give {len(folds_)}.",
            fix="Add more data, or declare fewer folds or shorter stretches.",
            rows=len(times), folds=len(folds_), span_s=(end_us - start_us) / US,
        )  # fmt: skip
    return tuple(reversed(folds_))


def row_folds(as_of: pd.Series, split: TemporalRows, horizon_s: float, model: str = "") -> tuple[Fold, ...]:
    """Return folds over rows in order of time, oldest first: those of scikit-learn's ``TimeSeriesSplit``.

    Rows whose label is not known when the first test row is predicted (``as_of + horizon`` after that row's ``as_of``) are not trained on.

    Parameters
    ----------
    as_of : Series of datetime64, sorted, one per row with a known label

    Raises
    ------
    StepFailed : there are too few rows; the error has the figures

    References
    ----------
    scikit-learn 1.6, ``sklearn.model_selection.TimeSeriesSplit``
    """
    count = len(as_of)
    test = split.test if split.test is not None else count // (split.folds + 1)
    folds_: list[Fold] = []
    for number in range(split.folds, 0, -1):
        test_start = count - number * test
        train_end = test_start - split.gap
        train = np.arange(max(0, train_end - split.train) if split.train is not None else 0, max(0, train_end))
        if test and test_start > 0 and train.size:
            first_time = as_of.iloc[test_start]
            if horizon_s:
                train = train[(as_of.iloc[train] + pd.Timedelta(horizon_s, "s") <= first_time).to_numpy()]
            # Rows of one moment may lie on both sides of a cut: a version trained until then may have been trained on a test row.
            cut = min(as_of.iloc[test_start - 1], first_time - pd.Timedelta(1, "ns"))
            until = as_of.iloc[test_start + test - 1]
        if not test or test_start <= 0 or train.size < MIN_TRAIN_ROWS:
            raise StepFailed(
                f"Model '{model}' needs {split.folds} test stretches of {test:,} rows, each with at least {MIN_TRAIN_ROWS} rows to learn from before it "
                f"and a gap of {split.gap:,}; there are {count:,} labelled rows.",
                fix="Add more data, or declare fewer folds or shorter stretches.",
                rows=count, folds=len(folds_),
            )  # fmt: skip
        folds_.append(Fold(cut, until, train, np.arange(test_start, test_start + test)))
    return tuple(folds_)


def hashed_folds(
    frame: pd.DataFrame, split: Hashed, entity: Sequence[str], as_of: pd.Series, model: str = "",
    together: NDArray[np.int64] | None = None,
) -> tuple[Fold, ...]:  # fmt: skip
    """Return folds by the hash of each row's key: fold i tests on the keys in the i-th stretch of hashes.

    Parameters
    ----------
    together : int64 [n], the group of each row: all rows of a group, and all with their keys, are in the fold of the group's least key

    Raises
    ------
    StepFailed : a fold has too few rows
    DeclarationProblem : the column that groups rows does not exist
    """
    keys = [split.by] if split.by else list(entity)
    for name in keys:
        if name not in frame.columns:
            raise DeclarationProblem(
                f"Model '{model}' splits by '{name}', and the features have no such column.",
                nearest=nearest(name, map(str, frame.columns)),
            )
    row_keys = np.array(["\x1f".join(map(str, row)) for row in frame[keys].itertuples(index=False)], object)
    places = np.array([_hash_place(key) for key in (row_keys if together is None else _least_keys(row_keys, together))])
    folds_ = []
    for number in range(split.folds):
        tested = (places >= number * split.test) & (places < (number + 1) * split.test)
        train, test = np.flatnonzero(~tested), np.flatnonzero(tested)
        if not test.size or train.size < MIN_TRAIN_ROWS:
            raise StepFailed(
                f"Model '{model}': fold {number + 1} of {split.folds} has {train.size} rows to learn from and {test.size} to test on.",
                fix="Add more data, or declare fewer folds.",
                rows=len(frame),
            )
        # No row is later than another, so any earlier version may have been trained on all of them.
        folds_.append(Fold(as_of.iloc[0] - pd.Timedelta(1, "s"), as_of.iloc[-1], train, test))
    return tuple(folds_)


def _least_keys(row_keys: NDArray[np.object_], together: NDArray[np.int64]) -> NDArray[np.object_]:
    """Return for each row the least key among all rows that are connected with it by a group or by a key."""
    key_codes, _ = pd.factorize(row_keys)
    nodes = int(together.max()) + 1
    edges = coo_matrix((np.ones(len(row_keys), bool), (together, nodes + key_codes)), shape=(nodes + key_codes.max() + 1,) * 2)
    _, component = connected_components(edges, directed=False)
    least: NDArray[np.object_] = pd.Series(row_keys).groupby(component[together]).transform("min").to_numpy(object)
    return least


def iso_timestamp(time: pd.Timestamp) -> str | None:
    """Return a time as text; None for rows that have none."""
    return None if pd.isna(time) else str(time.isoformat())


def _hash_place(key: str) -> float:
    """Return a key's hash as a number from 0 to 1; the same in every process."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:7], "big") / 2**56


def _span_text(length_us: int) -> str:
    days = length_us / US / 86400
    return f"{days:.1f} days" if days >= 1 else f"{days * 24:.1f} hours"
