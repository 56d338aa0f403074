"""Where rows of a stream go besides the lake."""

from caudal.run.stream.outlets.outbox import Outbox, Sender
from caudal.run.stream.outlets.sender import sender_of

__all__ = ["Outbox", "Sender", "sender_of"]
