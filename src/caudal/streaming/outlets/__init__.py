"""Where rows of a stream are sent besides the lake."""

from caudal.streaming.outlets.outbox import Outbox, Sender
from caudal.streaming.outlets.sender import sender_of

__all__ = ["Outbox", "Sender", "sender_of"]
