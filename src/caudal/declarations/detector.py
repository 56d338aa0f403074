"""Online detectors of anomalies, declared: what is looked for, and with which parameters. How is in ``stages/detect``."""

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

    def as_dict(self) -> dict[str, Any]:
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


def robust_z(window: int = 256) -> Detector:
    """Return a detector of values far from the recent median, in units of the median absolute deviation; each channel by itself.

    Parameters
    ----------
    window : int, readings that median and deviation are taken of

    Examples
    --------
    >>> robust_z(window=100).name
    'robust_z(window=100)'
    """
    return _declared("robust_z", {"window": (window, 8, 65_536)})


def half_space_trees(trees: int = 25, height: int = 8, window: int = 250, lags: int = 1, seed: int = 0) -> Detector:
    """Return a detector of readings that fall where few have fallen, by random halvings of the space of all channels.

    Parameters
    ----------
    trees, height : int, number of trees and of halvings in each
    window : int, readings after which the counts are renewed
    lags : int, consecutive readings that make one point
    seed : int, of the halvings
    """
    return _declared(
        "half_space_trees",
        {
            "trees": (trees, 1, 1000),
            "height": (height, 1, 14),
            "window": (window, 16, 65_536),
            "lags": (lags, 1, 256),
            "seed": (seed, 0, 2**31),
        },
    )


def local_outlier(neighbours: int = 10, window: int = 256, lags: int = 1) -> Detector:
    """Return a detector of readings that lie less densely than their nearest neighbours do.

    Parameters
    ----------
    neighbours : int, nearest earlier readings that density is taken of
    window : int, readings that are remembered
    lags : int, consecutive readings that make one point
    """
    made = _declared("local_outlier", {"neighbours": (neighbours, 1, 512), "window": (window, 8, 4096), "lags": (lags, 1, 256)})
    if 2 * neighbours >= window:
        raise DeclarationProblem(
            f"{made.name}: a window of {window} readings is too small for {neighbours} neighbours.",
            fix=f"Take window={4 * neighbours} or more.",
        )
    return made


def density(radius: float = 0.5, fade: float = 0.05, lags: int = 1) -> Detector:
    """Return a detector of readings far from every dense cluster of earlier ones; clusters that are not visited fade.

    Parameters
    ----------
    radius : float, the largest radius of a small cluster, in standard deviations
    fade : float, how fast old readings lose weight: half in ``100 / fade`` readings
    lags : int, consecutive readings that make one point
    """
    return _declared("density", {"radius": (radius, 1e-3, 100.0), "fade": (fade, 1e-4, 1.0), "lags": (lags, 1, 256)})


def surprise(
    shape: int = 14,
    neighbours: int = 3,
    memory: int = 4096,
    excess: float = 0.06,
    daily: float = 1.0,
    quiet: int = 120,
    habit: float = 0.3,
) -> Detector:
    """Return a detector for telemetry with a daily rhythm: range, time of day and shape judged together, each against its own past.

    Parameters
    ----------
    shape : int, readings that make a shape
    neighbours : int, most similar earlier shapes that a shape is compared with
    memory : int, readings that are remembered
    excess : float, weight of how far a record passes the last one
    daily : float, weight of the daily rhythm; the two other views weigh 1 each; 0 for data without a calendar
    quiet : int, readings after a score during which only a higher one is reported: one anomaly, one report
    habit : float, how much a score loses for each earlier anomaly of the stream that was as high: it is divided by ``(1 + earlier) ** habit``;
        0 leaves it as it is; without ``quiet`` it has no effect
    """
    return _declared(
        "surprise",
        {
            "shape": (shape, 2, 256),
            "neighbours": (neighbours, 1, 256),
            "memory": (memory, 64, 65_536),
            "excess": (excess, 0.0, 10.0),
            "daily": (daily, 0.0, 10.0),
            "quiet": (quiet, 0, 65_536),
            "habit": (habit, 0.0, 1.0),
        },
    )


def _declared(kind: str, told: dict[str, tuple[Value, Value, Value]]) -> Detector:
    """Return the declaration; every value lies within its bounds."""
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
