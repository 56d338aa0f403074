"""The operating-system process of a run, where the run is the only work in it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from caudal.errors import CaudalError


class Process:
    """A process that runs one product and nothing else: the run may be asked to stop, and may end the process.

    Parameters
    ----------
    print_error : prints the error that ends the process

    Attributes
    ----------
    stop_requested : bool, set by a signal handler; the run stops before its next step
    """

    def __init__(self, print_error: Callable[[CaudalError], None]) -> None:
        self.stop_requested = False  # a plain value, because a signal handler sets it
        self._print_error = print_error

    def end(self, error: CaudalError) -> None:
        """Print the error and end the process at once, whatever its threads are doing; write to the ledger before."""
        self._print_error(error)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(error.exit_code)  # Spark's Java process ends with the pipe to it
