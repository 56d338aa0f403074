"""What goes over a wire: blocks of samples, and the three ways to write them."""

from caudal.lake.wire.block import Array, Block
from caudal.lake.wire.codec import WIRES, codec
from caudal.lake.wire.many import many

__all__ = ["WIRES", "Array", "Block", "codec", "many"]
