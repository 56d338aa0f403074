"""Inputs that a served model has not learned from: numbers out of range, unknown categories, missing values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter as RequestCounter
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from caudal.ledger.measurements import Measurement
from caudal.ledger.served import MISSING, RANGE, UNKNOWN, learned_range

if TYPE_CHECKING:
    from caudal.declarations.signature import SignatureDocument

_ROWS = "Rows that were sent for predictions."
_ODD = "Inputs that the model has not learned from: beyond its range, of an unknown category, or missing."

Name = tuple[str, str]
Odd = tuple[str, str]
"""An input, and what is odd about its value: ``range``, ``category`` or ``missing``."""


@dataclass(frozen=True)
class LearnedInputs:
    """What a version has learned of its inputs, for a quick look at a row.

    Parameters
    ----------
    ranges : the least and the greatest number that each numeric input had
    categories : the values that each categorical input had
    others : inputs of which only a missing value can be told
    """

    ranges: tuple[tuple[str, float, float], ...]
    categories: tuple[tuple[str, frozenset[object]], ...]
    others: tuple[str, ...]

    @classmethod
    def of(cls, signature: SignatureDocument) -> LearnedInputs:
        """Return what a signature holds; versions of older caudals lack some of it."""
        ranges, categories, others = list[tuple[str, float, float]](), list[tuple[str, frozenset[object]]](), list[str]()
        for document in signature["inputs"]:
            name, learned = document["name"], learned_range(document)
            values: Any = document.get("values")
            if values:
                categories.append((name, frozenset(value for value in values if value is not None)))
            elif learned is not None:
                ranges.append((name, *learned))
            else:
                others.append(name)
        return cls(tuple(ranges), tuple(categories), tuple(others))

    def odd(self, row: Mapping[str, object]) -> list[Odd]:
        """Return what a row has that the version has not learned from, before or after the row is validated.

        Examples
        --------
        >>> learned = LearnedInputs((("amount", 0.5, 120.0),), (("channel", frozenset({"web", "shop"})),), ("note",))
        >>> learned.odd({"amount": 500, "channel": "fax"})
        [('amount', 'range'), ('channel', 'category'), ('note', 'missing')]
        >>> learned.odd({"amount": 5, "channel": "web", "note": "x"})
        []
        """
        found: list[Odd] = []
        get = row.get
        for name, low, high in self.ranges:
            value = get(name)
            if value is None or value != value:
                found.append((name, MISSING))
            elif isinstance(value, int | float) and not low <= value <= high:
                found.append((name, RANGE))
        for name, values in self.categories:
            value = get(name)
            if value is None:
                found.append((name, MISSING))
            elif isinstance(value, str | int | float) and value not in values:
                found.append((name, UNKNOWN))
        found += [(name, MISSING) for name in self.others if get(name) is None]
        return found


@dataclass
class InputTally:
    """The rows that were sent for predictions, and the odd inputs among them."""

    rows: int = 0
    odd: Counter[Odd] = field(default_factory=Counter)

    def add(self, rows: int, odd: Sequence[Odd]) -> None:
        """Count some rows and what is odd of them."""
        self.rows += rows
        if odd:
            self.odd.update(odd)


class InputCounters(Collector):
    """Reads the counts since the server began, at each scrape.

    Parameters
    ----------
    totals : by product and model; others add to it meanwhile
    """

    def __init__(self, totals: Mapping[Name, InputTally]) -> None:
        self._totals = totals

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Yield the number of rows of each model, and of odd inputs of each kind."""
        rows = CounterMetricFamily("caudal_input_rows", _ROWS, labels=("product", "model"))
        odd = CounterMetricFamily(
            "caudal_input_out_of_range",
            _ODD,
            labels=("product", "model", "input", "kind"),
        )
        for name, tally in list(self._totals.items()):
            rows.add_metric(name, tally.rows)
            for (input_, kind), count in sorted(tally.odd.copy().items()):
                odd.add_metric((*name, input_, kind), count)
        if rows.samples:
            yield from (rows, odd)


class InputTotals:
    """The same as `InputCounters`, as counters that are added to: those of several server processes add up."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._rows = RequestCounter("caudal_input_rows", _ROWS, ("product", "model"), registry=registry)
        self._odd = RequestCounter("caudal_input_out_of_range", _ODD, ("product", "model", "input", "kind"), registry=registry)

    def add(self, name: Name, tally: InputTally) -> None:
        """Add what has been sent for a model."""
        self._rows.labels(*name).inc(tally.rows)
        for odd, count in tally.odd.items():
            self._odd.labels(*name, *odd).inc(count)


def input_measurements(name: Name, version: int, tally: InputTally, start: float, end: float) -> Iterator[Measurement]:
    """Yield the odd inputs of a minute: how many rows had each, out of how many."""
    for (input_, kind), count in sorted(tally.odd.items()):
        yield Measurement(
            name[0], "", end, "serving", name[1], kind, float(count), count=tally.rows, window_start=start, window_end=end,
            group_by=("input",), group_value=(input_,), version=version,
        )  # fmt: skip
