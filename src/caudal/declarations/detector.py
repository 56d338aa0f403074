"""Online detectors of anomalies, declared: what is looked for, and with which parameters. Each kind is a file of ``stages/detect``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from caudal.declarations.location import Location
from caudal.errors import DeclarationProblem, nearest

Value = int | float


@dataclass(frozen=True)
class Detector:
    """A detector of one kind.

    Parameters
    ----------
    kind : str, the name under which ``caudal.stages.detect`` knows it
    parameters : pairs of name and number, in the order of the names
    """

    kind: str
    parameters: tuple[tuple[str, Value], ...] = ()

    @property
    def name(self) -> str:
        """The detector as one would write it, for example ``robust_z(window=256)``."""
        return f"{self.kind}({', '.join(f'{name}={value}' for name, value in self.parameters)})"

    def __getitem__(self, parameter: str) -> Any:
        """Return a parameter's value."""
        found = dict(self.parameters)
        if parameter not in found:
            raise DeclarationProblem(
                f"Detector '{self.name}' has no parameter '{parameter}'.",
                nearest=nearest(parameter, found),
                fix=f"Make it with the function {self.kind}(), which gives every parameter.",
            )
        return found[parameter]

    def as_dict(self) -> dict[str, object]:
        """Return kind and parameters, JSON-ready: what a fingerprint is made of."""
        return {"kind": self.kind, "parameters": dict(self.parameters)}


@dataclass(frozen=True)
class Detection:
    """Where a stream is watched by a detector: a table of what it found anomalous.

    Parameters
    ----------
    of : str, a stream source (each sample is looked at) or a table of statistics (each window that closes is)
    column : str, which of the statistics are looked at, one value a sensor
    threshold : float, scores from here on are anomalies
    """

    name: str
    of: str
    detector: Detector
    threshold: float = 0.99
    column: str = "std"
    where: Location | None = None


def bounded(kind: str, told: dict[str, tuple[Value, Value, Value]]) -> Detector:
    """Return the declaration of a detector.

    Parameters
    ----------
    told : of each parameter the value, and the least and the most that it may be

    Raises
    ------
    DeclarationProblem : a value is none of its kind or lies outside its bounds
    """
    for name, (value, low, high) in told.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise DeclarationProblem(f"{kind}: {name}={value!r} is no number.", fix=f"Give a number from {low} to {high}.")
        if isinstance(low, int) and not isinstance(value, int):
            raise DeclarationProblem(f"{kind}: {name}={value!r} is no whole number.", fix=f"Write {name}={round(value)}.")
        if not low <= value <= high:
            raise DeclarationProblem(
                f"{kind}: {name}={value} lies outside {low} to {high}.", fix=f"Write {name}={min(max(value, low), high)}."
            )
    return Detector(kind, tuple(sorted((name, value) for name, (value, _, _) in told.items())))
