"""A model's inputs and outputs, read from the signature that training wrote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from caudal.json_value import Scalar
from caudal.serve.times import TimeOf

Kind = Literal["double", "long", "string", "boolean", "time"]


@dataclass(frozen=True)
class ModelInput:
    """One input of a model.

    ``values`` are the only ones allowed; ``minimum`` and ``maximum`` are declared limits; ``seen`` is the range of the training rows, beyond which a
    prediction comes with a warning; ``default`` only fills the form. ``names`` are those that people know its values by. ``found_by`` names the times and
    keys by which the server finds it where a caller leaves it out; ``is_needed_by`` names the inputs that are found by it; ``time_of`` is how a time is read.
    """

    name: str
    type: Kind
    nullable: bool = False
    label: str = ""
    unit: str | None = None
    description: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    default: Scalar = None
    values: tuple[Scalar, ...] | None = None
    seen: tuple[float, float] | None = None
    names: Mapping[str, str] | None = None
    found_by: tuple[str, ...] = ()
    is_needed_by: tuple[str, ...] = ()
    time_of: TimeOf | None = None

    @cached_property
    def choices(self) -> dict[str, str]:
        """The allowed values by the name that people know them by, those without a name last; empty if its values have no names."""
        names = self.names or {}
        if not names:
            return {}
        allowed = None if self.values is None else {str(value) for value in self.values}
        named = {name: value for value, name in names.items() if allowed is None or value in allowed}
        return named | {value: value for value in sorted(allowed or ()) if value not in names}

    @property
    def seen_range(self) -> str:
        """The range of the training rows in words; empty if there is none."""
        return "" if self.seen is None else _between(*self.seen).strip()

    @property
    def allowed(self) -> str:
        """The allowed values, in words.

        Examples
        --------
        >>> ModelInput("distance", "double", minimum=0, maximum=100, unit="mi").allowed
        'a number from 0 to 100 (mi)'
        """
        return self.kind + (f" ({self.unit})" if self.unit else "") + (", or nothing" if self.nullable else "")

    @property
    def limits(self) -> str:
        """Its declared range in words; empty if there is none."""
        return "" if self.values is not None else _between(self.minimum, self.maximum).strip()

    @property
    def kind(self) -> str:
        """The allowed values in words, without the unit."""
        if self.values is not None:
            return _one_of(self.values)
        if self.type in ("double", "long"):
            return ("a number" if self.type == "double" else "a whole number") + _between(self.minimum, self.maximum)
        if self.type == "time":
            return "a date and a time such as 2024-01-31T18:30"
        return "true or false" if self.type == "boolean" else "text"


@dataclass(frozen=True)
class Output:
    """A model's output."""

    name: str
    type: str = "double"
    unit: str | None = None
    classes: tuple[Scalar, ...] | None = None


@dataclass(frozen=True)
class Signature:
    """Inputs in the order of the form, and the output."""

    inputs: tuple[ModelInput, ...]
    output: Output
    example: Mapping[str, Scalar]

    @cached_property
    def ranges(self) -> tuple[tuple[str, float, float], ...]:
        """Name, least and greatest number of training of the inputs that have such a range."""
        return tuple((input_.name, *input_.seen) for input_ in self.inputs if input_.seen is not None)

    @cached_property
    def by_name(self) -> dict[str, ModelInput]:
        """The inputs by name."""
        return {input_.name: input_ for input_ in self.inputs}

    @cached_property
    def starting_values(self) -> dict[str, Scalar]:
        """A value for each input: its default, else that of the example."""
        start = {
            input_.name: input_.default if input_.default is not None else self.example.get(input_.name) for input_ in self.inputs
        }
        return {input_.name: _within(start[input_.name], input_) for input_ in self.inputs}

    @cached_property
    def example_row(self) -> dict[str, Scalar]:
        """What a caller may send: a value for each input that the server does not find itself."""
        start = self.starting_values
        return {
            input_.name: start[input_.name]
            for input_ in self.inputs
            if not input_.found_by and (input_.nullable or start[input_.name] is not None)
        }


def read_signature(document: Mapping[str, Any]) -> Signature:
    """Return the signature in a model version's JSON document."""
    output = document.get("output") or {}
    classes = output.get("classes")
    return Signature(
        tuple(_input(input_) for input_ in document["inputs"]),
        Output(
            output.get("name") or "prediction",
            output.get("type") or "double",
            output.get("unit"),
            tuple(classes) if classes else None,
        ),
        dict(document.get("example") or {}),
    )


def shown_number(value: float) -> str:
    """Return a number as text for people, with thousands separators.

    Examples
    --------
    >>> shown_number(100.0), shown_number(0.25), shown_number(1234567.891), shown_number(1e-9)
    ('100', '0.25', '1,234,567.89', '1e-09')
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        return str(value)
    if value == 0:
        return "0"
    if not 1e-4 <= abs(value) < 1e15:
        return f"{value:.4g}"
    places = 2 if abs(value) >= 10 else 4
    text = f"{value:,.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _input(document: Mapping[str, Any]) -> ModelInput:
    values, training_range = document.get("values"), document.get("seen")
    return ModelInput(
        document["name"],
        document["type"],
        bool(document.get("nullable")),
        document.get("label") or document["name"].replace("_", " ").capitalize(),
        document.get("unit"),
        document.get("description"),
        document.get("minimum"),
        document.get("maximum"),
        document.get("default"),
        # A null among the categories means that the input is nullable; it is not a category to choose.
        tuple(value for value in values if value is not None) if values else None,
        (training_range[0], training_range[1]) if training_range else None,
    )


def _within(value: Scalar, input_: ModelInput) -> Scalar:
    # A rounded median may be slightly outside a narrow range.
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    low, high = input_.minimum, input_.maximum
    return low if low is not None and value < low else high if high is not None and value > high else value


def _between(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f" from {shown_number(low)} to {shown_number(high)}"
    if low is not None:
        return f" of at least {shown_number(low)}"
    return f" of at most {shown_number(high)}" if high is not None else ""


def _one_of(values: tuple[Scalar, ...], most_shown: int = 5) -> str:
    examples = ", ".join(repr(value) for value in values[:most_shown])
    return f"one of {examples}" if len(values) <= most_shown else f"one of {len(values)} values such as {examples}"
