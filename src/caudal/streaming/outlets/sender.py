"""Choose an outlet's sender by the kind of its place."""

from __future__ import annotations

from pathlib import Path

from caudal.declarations.outlet import Drop, Outlet
from caudal.streaming.outlets.drop import DropSender
from caudal.streaming.outlets.outbox import Sender
from caudal.streaming.outlets.topic import TopicSender


def sender_of(declared: Outlet, product: str, data: Path) -> Sender:
    """Return the sender for an outlet's place.

    Parameters
    ----------
    data : the folder in which a declared folder lies
    """
    if isinstance(declared.to, Drop):
        return DropSender(data / declared.to.folder)
    return TopicSender(declared, f"caudal-{product}-{declared.name}")
