"""The wire formats by name: each is a file of this folder with its ``WIRE``."""

from __future__ import annotations

from typing import Protocol, cast

from caudal.errors import DeclarationProblem, nearest
from caudal.kinds import WIRES
from caudal.messaging.wire.block import Block


class Codec(Protocol):
    """The interface of each wire format's module; some have ``decode_many`` too, which does for many messages what `many` does, but faster."""

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
    return cast(Codec, WIRES[name])
