"""Where rows of a stream go besides the lake."""

from caudal.run.stream.out.outbox import Outbox, Sender, opened

__all__ = ["Outbox", "Sender", "opened"]
