"""A run as the ledger knows it: its id and product, the ledger, the clock, and the claim that lets it publish."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from caudal.ledger.ledger import Ledger


def _no_claim() -> None:
    """Do nothing: no other run can take the product over."""


@dataclass(frozen=True)
class RunRecord:
    """Identifies a run in the ledger: what its rows are written with.

    Parameters
    ----------
    run_id : str, unique in the ledger (`caudal.runtime.lifecycle.new_run_id`)
    clock : returns the time, in seconds since 1970
    check_claim : raises LeaseHeld when another run has taken the product over; called before anything is published
    micro_batch : int, the number of the micro-batch in a stream, whose steps are done again and again; None in a run
    """

    product_name: str
    ledger: Ledger
    run_id: str
    clock: Callable[[], float] = time.time
    check_claim: Callable[[], None] = _no_claim
    micro_batch: int | None = None

    def stage(self, step: str) -> str:
        """Return the name of the folder that a step writes its files to before a version names them; no other step has it."""
        micro_batch = "" if self.micro_batch is None else f"-{self.micro_batch}"
        return f"part-{self.run_id}{micro_batch}-{step.replace(':', '-')}"
