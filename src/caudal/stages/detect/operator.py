"""The base class of detectors, and functions that create one from its declaration or its stored state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

from caudal.declarations.detector import Detector
from caudal.errors import DeclarationProblem, nearest
from caudal.kinds import DETECTORS
from caudal.stages.detect.state import pack, unpack


class Operator(ABC):
    """A detector of one device.

    Each kind has its name in ``kind``, scores in ``judge``, and stores and restores its whole memory with ``fields`` and ``restore`` as
    plain numbers and arrays: the stored state needs no pickle, and a restarted stream continues with the same scores, bit for bit.

    Parameters
    ----------
    declared : Detector
    channels : int, values of a reading
    """

    kind: ClassVar[str]

    def __init__(self, declared: Detector, channels: int) -> None:
        self.declared, self.channels = declared, channels

    def score(self, at_us: int, values: np.ndarray) -> float:
        """Return how anomalous a reading is compared with the readings before it, then learn it.

        Parameters
        ----------
        at_us : int, event time, microseconds since 1970, UTC
        values : float32 [channels], NaN is missing; a reading without any value scores 0 and is not learned

        Returns
        -------
        float from 0 to 1
        """
        if values.shape != (self.channels,):
            raise ValueError(f"A reading of shape {values.shape} was given to a detector of {self.channels} channels.")
        row = np.asarray(values, dtype=np.float64)
        row = np.where(np.isfinite(row), row, np.nan)
        if np.isnan(row).all():
            return 0.0
        return min(max(float(self.judge(at_us, row)), 0.0), 1.0)

    @abstractmethod
    def judge(self, at_us: int, row: np.ndarray) -> float:
        """Return the score of a reading (float64 [channels], not all NaN, no infinity), then learn it."""

    @abstractmethod
    def fields(self) -> dict[str, object]:
        """Return the whole memory: numbers and arrays by name."""

    @abstractmethod
    def restore(self, fields: Mapping[str, Any]) -> None:
        """Restore the memory from the result of ``fields``."""

    def state(self) -> bytes:
        """Return the whole memory as bytes; bounded, however long the stream."""
        return pack(self.declared, {"channels": self.channels, **self.fields()})

    @classmethod
    def from_state(cls, declared: Detector, stored: bytes) -> Self:
        """Return the detector as it was at ``state``: it gives the same scores, bit for bit.

        Raises
        ------
        StateProblem : the bytes are damaged, of another version, or of another declaration
        """
        fields = unpack(declared, stored)
        detector = cls(declared, int(fields["channels"]))
        detector.restore(fields)
        return detector


def detectors() -> Mapping[str, type[Operator]]:
    """Return every kind of detector, by name.

    Examples
    --------
    >>> sorted(detectors())
    ['density', 'half_space_trees', 'local_outlier', 'robust_z', 'surprise']
    """
    return DETECTORS


def operator(declared: Detector, channels: int) -> Operator:
    """Return a new detector with an empty memory."""
    return _kind(declared)(declared, channels)


def restore_operator(declared: Detector, stored: bytes) -> Operator:
    """Return the detector of a stored state."""
    return _kind(declared).from_state(declared, stored)


def _kind(declared: Detector) -> type[Operator]:
    kinds_by_name = detectors()
    if declared.kind not in kinds_by_name:
        raise DeclarationProblem(
            f"There is no detector '{declared.kind}'.",
            nearest=nearest(declared.kind, kinds_by_name),
            fix=f"Use one of {', '.join(kinds_by_name)}.",
        )
    return kinds_by_name[declared.kind]
