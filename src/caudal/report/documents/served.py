"""What servers have seen of the requests for predictions, as ``caudal monitor`` shows it."""

from __future__ import annotations

from typing_extensions import TypedDict  # with the standard one Pydantic cannot tell what is required before Python 3.12


class OddInput(TypedDict):
    """An input that the model has not learned from: in how many rows it was beyond its ``range``, of an unknown ``category``, or ``missing``.

    ``learned_from`` is the range of the training rows of the version in production; null where it is none, or not known.
    """

    input: str
    kind: str
    rows: int
    learned_from: list[float] | None


class ServedModel(TypedDict):
    """The requests for a model's predictions: ``errors`` are those that the server failed at.

    ``slowest_p95_s`` is of the minute in which it was the greatest. ``unknown_ranges`` are numeric inputs whose range the version in production does not know.
    """

    model: str
    version: int | None
    hours: float
    requests: int
    errors: int
    rows: int
    slowest_p95_s: float | None
    odd_inputs: list[OddInput]
    unknown_ranges: list[str]
