"""The wire formats: blocks of samples, and the three ways to encode them."""

from caudal.kinds import WIRES
from caudal.messaging.wire.block import Array, Block
from caudal.messaging.wire.codec import codec
from caudal.messaging.wire.many import many

__all__ = ["WIRES", "Array", "Block", "codec", "many"]
