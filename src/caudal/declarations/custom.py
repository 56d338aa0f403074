"""The base class of declarations whose kind another package provides."""

from __future__ import annotations

from dataclasses import dataclass, field

from caudal.declarations.location import Location


@dataclass(frozen=True, kw_only=True)
class CustomNode:
    """A declaration for `Product.add`; the other package subclasses it and registers its kind as an entry point of ``caudal.nodes``.

    Parameters
    ----------
    name : str, which no other node of the product has
    inputs : names of the tables that it is built from
    retry : how often its steps are retried after a failure of the machine or the network
    time_limit_s : seconds after which an attempt is stopped
    """

    name: str
    inputs: tuple[str, ...] = ()
    description: str | None = None
    retry: int = 0
    time_limit_s: float | None = None
    where: Location | None = field(default=None, compare=False)
