"""The order of work that goes along, by which results that come home are known."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pydantic import TypeAdapter

from caudal.compare.platform import Workload
from caudal.errors import NotThere

ORDER = "order.json"


@dataclass(frozen=True)
class NotebookOrder:
    """What is done elsewhere, and on what.

    Parameters
    ----------
    caudal : the version that does it
    code, data : digests of the product's files, and of what its work reads
    folder, file : names of the product's folder and of the file in it that declares it
    platforms : as they are written
    shares : of the data; empty where no messages go along
    prices : of an hour of a core, by platform
    changed_ns : when files of the data were changed, by their path in the parcel: runs land files in this order
    """

    caudal: str
    product: str
    workload: Workload
    code: str
    data: str
    folder: str
    file: str
    platforms: tuple[str, ...]
    repeats: int
    warm_ups: int
    seed: int
    limit_s: float
    faults: tuple[str, ...] = ()
    shares: tuple[float, ...] = ()
    has_data: bool = False
    prices: Mapping[str, float] = field(default_factory=dict)
    changed_ns: Mapping[str, int] = field(default_factory=dict)

    def text(self) -> str:
        """Return the order as JSON."""
        return json.dumps(asdict(self), indent=1)

    def differs_from(self, other: NotebookOrder) -> str | None:
        """Return in what another order differs, as the end of a sentence on what holds this one; None where its results are as good."""
        if self.product != other.product:
            return f"are of product '{self.product}', and this comparison is of '{other.product}'"
        if self.code != other.code:
            return f"are of other code of product '{self.product}' than this comparison's"
        if self.data != other.data:
            return "are of other data than this comparison's"
        names = ("workload", "platforms", "repeats", "warm_ups", "shares", "seed", "limit_s", "faults", "caudal")
        for name in names:
            value, others = getattr(self, name), getattr(other, name)
            if value != others:
                return f"are of another order of work: {name.replace('_', '-')} is {_shown(value)} there, and {_shown(others)} in this comparison"
        return None


def read_order(file: Path) -> NotebookOrder:
    """Return an order that was written.

    Raises
    ------
    NotThere : there is none, or it is none
    """
    try:
        return TypeAdapter(NotebookOrder).validate_json(file.read_text())
    except OSError as error:
        raise NotThere(f"'{file.name}' cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise NotThere(f"'{file.name}' is no order of work: {str(error).partition(chr(10))[0]}.") from None


def _shown(value: object) -> str:
    return (", ".join(map(str, value)) or "none") if isinstance(value, tuple) else str(value)
