"""How a run goes, while it goes: a live line for what is at work, a lasting line for each step that has ended."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from caudal.report.figures import count, duration
from caudal.report.terminal.console import console, mark

STEP_WIDTH = 26
# Where lines cannot be redrawn, a step is announced only once it has taken this long: short ones would be said twice.
SLOW_S = 10.0


class Progress:
    """Shows the steps of a run on standard error, so that standard output holds the summary alone.

    Parameters
    ----------
    to : Console, optional, standard error when left out
    quiet : bool, show nothing (``--json``)
    """

    def __init__(self, to: Console | None = None, *, quiet: bool = False) -> None:
        self.console = to or console(sys.stderr)
        self.quiet = quiet
        self._running: dict[str, float] = {}
        self._spinners: dict[str, Spinner] = {}
        self._slow: dict[str, threading.Timer] = {}
        self._live: Live | None = None
        self._awaited: str | None = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Take the live display away; the lines of ended steps stay."""
        for timer in self._slow.values():
            timer.cancel()
        self._slow.clear()
        if self._live is not None:
            self._live.stop()
            self._live = None

    def started(self, step: str) -> None:
        """Show that a step is at work."""
        if self.quiet:
            return
        self._running[step] = time.monotonic()
        if not self._redraws:
            timer = threading.Timer(SLOW_S, self._still, [step])
            timer.daemon = True
            self._slow[step] = timer
            timer.start()
            return
        self._spinners[step] = Spinner("dots", style="cyan")
        if self._live is None:
            self._live = Live(get_renderable=self._at_work, console=self.console, transient=True, refresh_per_second=10)
            self._live.start()

    def noted(self, sentence: str) -> None:
        """Show a sentence about the run as a whole, on a line that stays."""
        if not self.quiet:
            self.console.print(Text.assemble(mark("waiting"), (f" {sentence}", "yellow")), soft_wrap=not self._redraws)

    def awaited(self, what: str | None) -> None:
        """Show what the step at work waits for, beside it; None when it goes on."""
        self._awaited = what

    def slow(self, step: str, seconds: float, expected_s: float) -> None:
        """Say, on a line that stays, that a step at work takes longer than usual."""
        if not self.quiet:
            said = f" {step:<{STEP_WIDTH}}{duration(round(seconds)):>9}  so far; {duration(expected_s)} is usual"
            self.console.print(Text.assemble(mark("running"), (said, "yellow")), soft_wrap=not self._redraws)

    def finished(
        self,
        step: str,
        state: str,
        *,
        rows_read: int | None,
        rows_written: int | None,
        quarantined: int | None,
        seconds: float,
        why: str | None,
    ) -> None:
        """Show how a step ended, on a line that stays."""
        if self.quiet:
            return
        self._running.pop(step, None)
        self._spinners.pop(step, None)
        if timer := self._slow.pop(step, None):
            timer.cancel()
        line = ended(step, state, rows_read, rows_written, quarantined, seconds, why)
        # A line in a file is kept whole, so that it can be searched; on a terminal it is folded by the terminal's width.
        self.console.print(line, soft_wrap=not self._redraws)

    @property
    def _redraws(self) -> bool:
        return self.console.is_terminal and not self.console.is_dumb_terminal

    def _at_work(self) -> Table:
        lines = Table.grid(padding=(0, 1))
        for step, began in list(self._running.items()):
            lines.add_row(
                self._spinners[step],
                Text(f"{step:<{STEP_WIDTH}}", style="cyan"),
                Text(duration(round(time.monotonic() - began)), style="bright_black"),
                Text(self._awaited or "", style="bright_black"),
            )
        return lines

    def _still(self, step: str) -> None:
        if step in self._running:
            why = f": {self._awaited}" if self._awaited else ""
            self.console.print(
                Text.assemble(mark("running"), f" {step:<{STEP_WIDTH}}  at work for {duration(SLOW_S)} so far{why}"), soft_wrap=True
            )


def ended(
    step: str,
    state: str,
    rows_read: int | None,
    rows_written: int | None,
    quarantined: int | None,
    seconds: float,
    why: str | None,
) -> Text:
    """Return the line of a step that has ended.

    Examples
    --------
    >>> ended("table:trips", "succeeded", 68211, 66802, 1409, 3.2, None).plain
    '✓ table:trips                   3.2 s  68,211 → 66,802 rows, 1,409 quarantined'
    >>> ended("table:trips", "skipped", None, None, None, 0.01, "up to date").plain
    '– table:trips                          up to date'
    >>> ended("promote:demand", "refused", None, None, None, 0.1, "version 2 refused").plain
    '✗ promote:demand               100 ms  version 2 refused'
    """
    line = Text.assemble(mark(state), f" {step:<{STEP_WIDTH}}")
    if state in ("skipped", "waiting"):
        line.append(f"{'':>9}  {why or state}")
        line.stylize("bright_black" if state == "skipped" else "yellow", 1)
        return line
    line.append(f"{duration(seconds):>9}", style="bright_black" if state in ("succeeded", "refused") else "")
    if state == "failed":
        line.append(f"  {why or 'failed'}", style="red")
        return line
    said = _rows(rows_read, rows_written)
    if said:
        line.append(f"  {said}")
    if quarantined:
        line.append(f", {count(quarantined)} quarantined", style="yellow")
    if why:
        line.append(f"  {why}", style="yellow" if state == "refused" else "bright_black")
    return line


def _rows(read: int | None, written: int | None) -> str:
    if written is None:
        return f"{count(read)} rows" if read is not None else ""
    return f"{count(read)} → {count(written)} rows" if read is not None and read != written else f"{count(written)} rows"
