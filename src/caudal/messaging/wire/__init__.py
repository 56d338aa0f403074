"""What goes over a wire: blocks of samples, and the three ways to write them."""

from caudal.kinds import WIRES
from caudal.messaging.wire.block import Array, Block
from caudal.messaging.wire.codec import codec
from caudal.messaging.wire.many import many

__all__ = ["WIRES", "Array", "Block", "codec", "many"]
