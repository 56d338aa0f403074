"""Declarations of online anomaly detectors and their parameters. Each kind is a file of ``stages/detect``."""

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
    kind : str, its name in ``caudal.stages.detect``
    parameters : pairs of name and number, in the order of the names
    """

    kind: str
    parameters: tuple[tuple[str, Value], ...] = ()

    @property
    def name(self) -> str:
        """The detector as code, for example ``robust_z(window=256)``."""
        return f"{self.kind}({', '.join(f'{name}={value}' for name, value in self.parameters)})"

    def __getitem__(self, parameter: str) -> Any:
        """Return a parameter's value."""
        values = dict(self.parameters)
        if parameter not in values:
            raise DeclarationProblem(
                f"Detector '{self.name}' has no parameter '{parameter}'.",
                nearest=nearest(parameter, values),
                fix=f"Make it with the function {self.kind}(), which gives every parameter.",
            )
        return values[parameter]

    def as_dict(self) -> dict[str, object]:
        """Return kind and parameters, JSON-ready; the fingerprint uses them."""
        return {"kind": self.kind, "parameters": dict(self.parameters)}


@dataclass(frozen=True)
class Detection:
    """A detector on a stream, and the table of its anomalies.

    Parameters
    ----------
    of : str, a stream source (the detector scores each sample) or a table of statistics (it scores each closed window)
    column : str, the statistic that it scores, one value a sensor
    threshold : float, the lowest score of an anomaly
    """

    name: str
    of: str
    detector: Detector
    threshold: float = 0.99
    column: str = "std"
    where: Location | None = None


def bounded(kind: str, parameters: dict[str, tuple[Value, Value, Value]]) -> Detector:
    """Return the declaration of a detector whose parameters lie within their bounds.

    Parameters
    ----------
    parameters : for each parameter its value, the least and the greatest value allowed

    Raises
    ------
    DeclarationProblem : a value has the wrong type or lies outside its bounds
    """
    for name, (value, low, high) in parameters.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise DeclarationProblem(f"{kind}: {name}={value!r} is no number.", fix=f"Give a number from {low} to {high}.")
        if isinstance(low, int) and not isinstance(value, int):
            raise DeclarationProblem(f"{kind}: {name}={value!r} is no whole number.", fix=f"Write {name}={round(value)}.")
        if not low <= value <= high:
            raise DeclarationProblem(
                f"{kind}: {name}={value} lies outside {low} to {high}.", fix=f"Write {name}={min(max(value, low), high)}."
            )
    return Detector(kind, tuple(sorted((name, value) for name, (value, _, _) in parameters.items())))
