"""What every detector is, and how one is made from its declaration or from its stored state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

from caudal.declarations.detector import Detector
from caudal.errors import DeclarationProblem, nearest
from caudal.kinds import DETECTORS
from caudal.stages.detect.state import packed, unpacked


class Operator(ABC):
    """A detector at work on one device.

    Each kind says its name in ``kind``, scores in ``judge``, and lists in ``fields`` and ``restore`` all that it remembers, as plain
    numbers and arrays: what is stored needs no pickle, and a restart goes on bit for bit.

    Parameters
    ----------
    declared : Detector
    channels : int, values of a reading
    """

    kind: ClassVar[str]

    def __init__(self, declared: Detector, channels: int) -> None:
        self.declared, self.channels = declared, channels

    def score(self, at_us: int, values: np.ndarray) -> float:
        """Return how anomalous a reading is, judged by the readings before it; afterwards it is learned.

        Parameters
        ----------
        at_us : int, event time, microseconds since 1970, UTC
        values : float32 [channels], NaN is missing; a reading of which all is missing scores 0 and is not learned

        Returns
        -------
        float from 0 to 1
        """
        if values.shape != (self.channels,):
            raise ValueError(f"A reading of shape {values.shape} came to a detector of {self.channels} channels.")
        row = np.asarray(values, dtype=np.float64)
        row = np.where(np.isfinite(row), row, np.nan)
        if np.isnan(row).all():
            return 0.0
        return min(max(float(self.judge(at_us, row)), 0.0), 1.0)

    @abstractmethod
    def judge(self, at_us: int, row: np.ndarray) -> float:
        """Return the score of a reading (float64 [channels], not all NaN, no infinity), then learn it."""

    @abstractmethod
    def fields(self) -> dict[str, Any]:
        """Return all that is remembered: numbers and arrays by name."""

    @abstractmethod
    def restore(self, fields: Mapping[str, Any]) -> None:
        """Take up what ``fields`` gave."""

    def state(self) -> bytes:
        """Return all that is remembered; bounded, however long the stream."""
        return packed(self.declared, {"channels": self.channels, **self.fields()})

    @classmethod
    def restored(cls, declared: Detector, stored: bytes) -> Self:
        """Return the detector as it was when ``state`` was taken: it gives the same scores, bit for bit.

        Raises
        ------
        StateProblem : the bytes are damaged, of another version, or of another declaration
        """
        fields = unpacked(declared, stored)
        made = cls(declared, int(fields["channels"]))
        made.restore(fields)
        return made


def detectors() -> Mapping[str, type[Operator]]:
    """Return every kind of detector, by name.

    Examples
    --------
    >>> sorted(detectors())
    ['density', 'half_space_trees', 'local_outlier', 'robust_z', 'surprise']
    """
    return DETECTORS


def operator(declared: Detector, channels: int) -> Operator:
    """Return a detector that has seen nothing yet."""
    return _kind(declared)(declared, channels)


def restored(declared: Detector, stored: bytes) -> Operator:
    """Return a detector as it was when its state was taken."""
    return _kind(declared).restored(declared, stored)


def _kind(declared: Detector) -> type[Operator]:
    known = detectors()
    if declared.kind not in known:
        raise DeclarationProblem(
            f"There is no detector '{declared.kind}'.", nearest=nearest(declared.kind, known), fix=f"Known are {', '.join(known)}."
        )
    return known[declared.kind]
