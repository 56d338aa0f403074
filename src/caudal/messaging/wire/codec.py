"""The wire formats by name."""

from __future__ import annotations

from importlib import import_module
from typing import Protocol, cast

from caudal.errors import DeclarationProblem, nearest
from caudal.messaging.wire.block import Block

WIRES = ("packed", "json", "avro")


class Codec(Protocol):
    """The interface of each wire format's module."""

    def encode(self, block: Block) -> list[bytes]:
        """Return a block as messages."""

    def decode(self, payload: bytes | memoryview) -> list[Block]:
        """Return a message's blocks, or raise a ValueError that says what is wrong with it."""


def codec(name: str) -> Codec:
    """Return the wire format of that name.

    Raises
    ------
    DeclarationProblem : there is no wire format of that name

    Examples
    --------
    >>> codec("packed").__name__
    'caudal.messaging.wire.packed'
    """
    if name not in WIRES:
        raise DeclarationProblem(f"There is no wire '{name}'.", nearest=nearest(name, WIRES), fix=f"Known: {', '.join(WIRES)}.")
    return cast(Codec, import_module(f"caudal.messaging.wire.{name}"))
