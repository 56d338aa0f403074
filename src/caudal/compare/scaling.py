"""A model of the time that work takes on other cores and other sizes, fitted to repetitions and tested on points that were held out.

Amdahl's law: G. M. Amdahl, "Validity of the single processor approach to achieving large scale computing capabilities", AFIPS 30, 1967.
The Universal Scalability Law: N. J. Gunther, "Guerrilla Capacity Planning", Springer, 2007, chapter 4. Both with a term of size: docs/compare.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from caudal.report.documents.comparison import PlatformDocument, ScalingDocument, ScalingPoint

MOST_CORES, MOST_SIZE = (2, 4, 8), (2, 10)
_LEAST_FITTED = 3
_TERMS: Mapping[str, Callable[[int, float], float]] = {
    # parameter → seconds for one second of it, on so many cores, of so large a share
    "fixed_s": lambda _cores, _share: 1.0,
    "serial_s": lambda _cores, share: share,
    "parallel_s": lambda cores, share: share / cores,
    "coherence_s": lambda cores, share: share * (cores - 1),
    "size_s": lambda _cores, share: share,
}
# What varied (cores, sizes) → law → its parameters. Where only one varied, parameters that could not be told apart are one.
_LAWS: Mapping[tuple[bool, bool], Mapping[str, tuple[str, ...]]] = {
    (True, False): {"amdahl": ("serial_s", "parallel_s"), "usl": ("serial_s", "parallel_s", "coherence_s")},
    (False, True): {"size": ("fixed_s", "size_s")},
    (True, True): {
        "amdahl": ("fixed_s", "serial_s", "parallel_s"),
        "usl": ("fixed_s", "serial_s", "parallel_s", "coherence_s"),
    },
}


@dataclass(frozen=True)
class _Point:
    cores: int
    share: float
    work_s: float


def fit_scaling(platforms: Sequence[PlatformDocument]) -> list[ScalingDocument]:
    """Return a model for each kind of platform with enough points: three to fit and one to hold out, of different cores or sizes."""
    by_kind: dict[str, list[PlatformDocument]] = {}
    for platform in platforms:
        by_kind.setdefault(platform["kind"], []).append(platform)
    fitted = []
    for kind, group in by_kind.items():
        measured = [platform for platform in group if any(_counts(repetition) for repetition in platform["repetitions"])]
        points = _points(measured)
        name = measured[0]["platform"] if len(measured) == 1 else kind
        model = _fit(name, points)
        if model is not None:
            fitted.append(model)
    return fitted


def predicted_s(parameters: Mapping[str, float], cores: int, share: float) -> float:
    """Return the seconds that a model predicts.

    Examples
    --------
    >>> predicted_s({"fixed_s": 2.0, "serial_s": 1.0, "parallel_s": 8.0}, 4, 1.0)
    5.0
    """
    return sum(parameters[name] * term(cores, share) for name, term in _TERMS.items() if name in parameters)


def best_cores(parameters: Mapping[str, float]) -> int | None:
    """Return the number of cores from which on more of them make the work slower, after the USL; None where there is none.

    Examples
    --------
    >>> best_cores({"serial_s": 1.0, "parallel_s": 16.0, "coherence_s": 0.25})
    8
    """
    coherence = parameters.get("coherence_s", 0.0)
    return max(round(math.sqrt(parameters["parallel_s"] / coherence)), 1) if coherence > 0 else None


def _counts(repetition: Mapping[str, object]) -> bool:
    return bool(not repetition["warm_up"] and repetition["state"] == "done" and repetition["work_s"] and repetition["cores"])


def _points(platforms: Iterable[PlatformDocument]) -> list[_Point]:
    """Return the median of the repetitions of each number of cores and size."""
    values: dict[tuple[int, float], list[float]] = {}
    for platform in platforms:
        for repetition in platform["repetitions"]:
            if _counts(repetition) and repetition["cores"] and repetition["work_s"]:
                values.setdefault((repetition["cores"], repetition["share"]), []).append(repetition["work_s"])
    return [_Point(cores, share, median(times)) for (cores, share), times in sorted(values.items())]


def _fit(platform: str, points: Sequence[_Point]) -> ScalingDocument | None:
    split = _split(points)
    if split is None:
        return None
    fitted, held_out = split
    varied = (len({point.cores for point in fitted}) > 1, len({point.share for point in fitted}) > 1)
    best: tuple[float, str, dict[str, float]] | None = None
    for law, names in _LAWS.get(varied, {}).items():
        parameters = _parameters(names, fitted)
        if parameters is None:
            continue
        error = sum(abs(predicted_s(parameters, point.cores, point.share) / point.work_s - 1) for point in held_out) / len(held_out)
        # The law with more parameters has to predict better, not as well.
        if best is None or error < best[0] - 1e-9:
            best = (error, law, parameters)
    if best is None:
        return None
    error, law, parameters = best
    return {
        "platform": platform, "law": law, "parameters": {**parameters, **_coefficients(parameters)},
        "points": [_document(parameters, point.cores, point.share, point.work_s, held_out=point in held_out) for point in points],
        "error": error, "predictions": _predictions(parameters, points, varied),
    }  # fmt: skip


def _split(points: Sequence[_Point]) -> tuple[list[_Point], list[_Point]] | None:
    """Return what is fitted and what is held out: the largest size, else the most cores, else the largest point alone."""
    if len(points) <= _LEAST_FITTED:
        return None
    largest, most = max(point.share for point in points), max(point.cores for point in points)
    for held_out in (
        [point for point in points if point.share == largest],
        [point for point in points if point.cores == most],
        [max(points, key=lambda point: (point.share, point.cores))],
    ):
        fitted = [point for point in points if point not in held_out]
        if len(fitted) >= _LEAST_FITTED:
            return fitted, held_out
    return None


def _parameters(names: Sequence[str], points: Sequence[_Point]) -> dict[str, float] | None:
    """Return the parameters, none below 0, with the least squares of relative errors; None where the points do not tell them apart."""
    import numpy as np  # the documents and the terminal need neither
    from scipy.optimize import nnls

    matrix = np.array([[_TERMS[name](point.cores, point.share) / point.work_s for name in names] for point in points])
    if len(points) < len(names) or np.linalg.matrix_rank(matrix) < len(names):
        return None
    values, _ = nnls(matrix, np.ones(len(points)))
    return dict(zip(names, map(float, values), strict=True))


def _coefficients(parameters: Mapping[str, float]) -> dict[str, float]:
    """Return Gunther's coefficients: contention (Amdahl's serial share) and coherence, of the time on one core."""
    alone = parameters.get("serial_s", 0.0) + parameters.get("parallel_s", 0.0)
    if not alone:
        return {}
    shares = {"sigma": parameters["serial_s"] / alone}
    return shares | ({"kappa": parameters["coherence_s"] / alone} if "coherence_s" in parameters else {})


def _predictions(parameters: Mapping[str, float], points: Sequence[_Point], varied: tuple[bool, bool]) -> list[ScalingPoint]:
    """Return the times on more cores and of more data, as far as the parameters tell; each from the most that was measured."""
    most, largest = max(point.cores for point in points), max(point.share for point in points)
    cores = [(most * times, largest) for times in MOST_CORES if varied[0]]
    sizes = [(most, largest * times) for times in MOST_SIZE if varied[1]]
    return [_document(parameters, *place, None, held_out=False) for place in (*cores, *sizes)]


def _document(parameters: Mapping[str, float], cores: int, share: float, work_s: float | None, *, held_out: bool) -> ScalingPoint:
    return {
        "cores": cores, "share": share, "work_s": work_s, "predicted_s": predicted_s(parameters, cores, share), "held_out": held_out,
    }  # fmt: skip
