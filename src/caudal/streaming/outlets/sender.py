"""Choose an outlet's sender by the kind of its destination: each is a file of this folder with its ``OUTLET`` and ``sender``."""

from __future__ import annotations

from pathlib import Path

from caudal.declarations.outlet import Outlet
from caudal.errors import DeclarationProblem, nearest
from caudal.kinds import OUTLETS
from caudal.streaming.outlets.outbox import Sender


def sender_of(declared: Outlet, product: str, data: Path) -> Sender:
    """Return the sender for an outlet's destination.

    Parameters
    ----------
    data : the folder in which a declared folder lies

    Raises
    ------
    DeclarationProblem : nothing sends to such a place
    """
    if declared.to.kind not in OUTLETS:
        raise DeclarationProblem(
            f"Outlet '{declared.name}' has a destination of the unknown kind '{declared.to.kind}'.",
            nearest=nearest(declared.to.kind, OUTLETS),
            fix=f"Kinds are: {', '.join(OUTLETS)}.",
            where=str(declared.where),
        )
    sender: Sender = OUTLETS[declared.to.kind].sender(declared, product, data)
    return sender
