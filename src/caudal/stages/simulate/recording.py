"""A real recording: EEG Eye State (Roesler 2013, CC BY 4.0, doi 10.24432/C57G7J), 14 electrodes at 128 Hz, from ``$CAUDAL_DATA``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np

from caudal.errors import NotThere
from caudal.messaging.wire.block import Array
from caudal.stages.simulate.played import Played
from caudal.stages.simulate.registered import simulates

_ARTEFACT_UV = 1000.0  # a value further than this from a channel's median is an artefact


@simulates("recording")
@dataclass(frozen=True)
class Recording(Played):
    """Microvolts of 14 electrodes; label 1: eyes closed. At its end the recording starts again.

    Parameters
    ----------
    data : Path, the folder that holds ``eeg_eye_state``
    """

    channels: ClassVar[tuple[str, ...]] = (
        "AF3", "F7", "F3", "FC5", "T7", "P7", "O1", "O2", "P8", "T8", "FC6", "F4", "F8", "AF4",
    )  # fmt: skip
    label_channels: ClassVar[tuple[str, ...]] = ("eyes_closed",)
    natural_hz: ClassVar[float] = 128.0

    data: Path | None = None

    def __len__(self) -> int:
        return len(self._rows)

    def values(self, positions: Array) -> Array:
        """Return microvolts [positions, 14]."""
        microvolts: Array = self._rows[positions % len(self._rows), :14]
        return microvolts

    def label(self, positions: Array) -> Array:
        """Return 1 where the eyes are closed, [positions, 1]."""
        labels: Array = self._rows[positions % len(self._rows), 14:]
        return labels

    def marks(self, positions: Array) -> Mapping[str, Array]:
        """Return which samples are artefacts and in which the eyes are closed."""
        distance = np.abs(self.values(positions) - np.median(self._rows[:, :14], axis=0))
        return {"artefact": (distance > _ARTEFACT_UV).any(axis=1), "eyes_closed": self.label(positions)[:, 0] == 1}

    @cached_property
    def _rows(self) -> Array:
        folder = (self.data or Path("../shared/data")) / "eeg_eye_state"
        if not (files := sorted(folder.glob("*.arff"))):
            raise NotThere(
                f"The recording is not at '{folder}'.", fix="Set CAUDAL_DATA or --data to the folder that holds 'eeg_eye_state'."
            )
        lines = files[0].read_text().partition("@DATA")[2].split()
        return np.array([line.split(",") for line in lines], dtype=np.float64)
