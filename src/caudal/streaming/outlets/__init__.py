"""Outlets: send rows of a stream to other systems."""

from caudal.streaming.outlets.outbox import Outbox, Sender
from caudal.streaming.outlets.sender import sender_of

__all__ = ["Outbox", "Sender", "sender_of"]
