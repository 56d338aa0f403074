"""What a kind of node of another package declares."""

from __future__ import annotations

from dataclasses import dataclass, field

from caudal.declarations.location import Location


@dataclass(frozen=True, kw_only=True)
class CustomNode:
    """A declaration that `Product.add` takes; the package derives its own from it and gives its kind as an entry point of ``caudal.nodes``.

    Parameters
    ----------
    name : str, which no other node of the product has
    inputs : names of the tables that it is made from
    retry : how often its steps are tried again when the machine or the network failed them
    time_limit_s : seconds after which an attempt is ended
    """

    name: str
    inputs: tuple[str, ...] = ()
    description: str | None = None
    retry: int = 0
    time_limit_s: float | None = None
    where: Location | None = field(default=None, compare=False)
