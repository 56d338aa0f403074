"""Progress of a run: a live line for each running step, a permanent line for each finished step."""

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

from caudal.report.figures import count_text, duration
from caudal.report.terminal.console import console, mark

STEP_WIDTH = 26
# Where lines cannot be redrawn, a running step gets a line only after this time, so that short steps have one line, not two.
SLOW_S = 10.0


class TerminalProgress:
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

    def __enter__(self) -> TerminalProgress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Remove the live display; the lines of finished steps stay."""
        for timer in self._slow.values():
            timer.cancel()
        self._slow.clear()
        if self._live is not None:
            self._live.stop()
            self._live = None

    def started(self, step: str) -> None:
        """Show that a step is running."""
        if self.quiet:
            return
        self._running[step] = time.monotonic()
        if not self._redraws:
            timer = threading.Timer(SLOW_S, self._print_slow, [step])
            timer.daemon = True
            self._slow[step] = timer
            timer.start()
            return
        self._spinners[step] = Spinner("dots", style="cyan")
        if self._live is None:
            self._live = Live(get_renderable=self._live_lines, console=self.console, transient=True, refresh_per_second=10)
            self._live.start()

    @property
    def _wraps(self) -> bool:
        """Whether long lines are broken: a log has them whole, a notebook would cut them off."""
        return self._redraws or self.console.is_jupyter

    def noted(self, sentence: str) -> None:
        """Print a sentence about the run as a whole, on a permanent line."""
        if not self.quiet:
            self.console.print(Text.assemble(mark("waiting"), (f" {sentence}", "yellow")), soft_wrap=not self._wraps)

    def awaited(self, what: str | None) -> None:
        """Show what the running step waits for, on its live line; None when it no longer waits."""
        self._awaited = what

    def engine_started(self, engine: str, seconds: float) -> None:
        """Do nothing: the live line has said what was waited for."""

    def slow(self, step: str, seconds: float, expected_s: float) -> None:
        """Print, on a permanent line, that a running step takes longer than usual."""
        if not self.quiet:
            sentence = f" {step:<{STEP_WIDTH}}{duration(round(seconds)):>9}  so far; {duration(expected_s)} is usual"
            self.console.print(Text.assemble(mark("running"), (sentence, "yellow")), soft_wrap=not self._wraps)

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
        """Print how a step ended, on a permanent line."""
        if self.quiet:
            return
        self._running.pop(step, None)
        self._spinners.pop(step, None)
        if timer := self._slow.pop(step, None):
            timer.cancel()
        line = finished_line(step, state, rows_read, rows_written, quarantined, seconds, why)
        # Lines in a file are not wrapped, so that they can be searched; on a terminal they wrap at its width.
        self.console.print(line, soft_wrap=not self._wraps)

    @property
    def _redraws(self) -> bool:
        return self.console.is_terminal and not self.console.is_dumb_terminal

    def _live_lines(self) -> Table:
        lines = Table.grid(padding=(0, 1))
        for step, began in list(self._running.items()):
            lines.add_row(
                self._spinners[step],
                Text(f"{step:<{STEP_WIDTH}}", style="cyan"),
                Text(duration(round(time.monotonic() - began)), style="bright_black"),
                Text(self._awaited or "", style="bright_black"),
            )
        return lines

    def _print_slow(self, step: str) -> None:
        if step in self._running:
            why = f": {self._awaited}" if self._awaited else ""
            self.console.print(
                Text.assemble(mark("running"), f" {step:<{STEP_WIDTH}}  at work for {duration(SLOW_S)} so far{why}"), soft_wrap=True
            )


def finished_line(
    step: str,
    state: str,
    rows_read: int | None,
    rows_written: int | None,
    quarantined: int | None,
    seconds: float,
    why: str | None,
) -> Text:
    """Return the line of a finished step.

    Examples
    --------
    >>> finished_line("table:trips", "succeeded", 68211, 66802, 1409, 3.2, None).plain
    '✓ table:trips                   3.2 s  68,211 → 66,802 rows, 1,409 quarantined'
    >>> finished_line("table:trips", "skipped", None, None, None, 0.01, "up to date").plain
    '– table:trips                          up to date'
    >>> finished_line("promote:demand", "refused", None, None, None, 0.1, "version 2 refused").plain
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
    row_counts = _row_counts(rows_read, rows_written)
    if row_counts:
        line.append(f"  {row_counts}")
    if quarantined:
        line.append(f", {count_text(quarantined)} quarantined", style="yellow")
    if why:
        line.append(f"  {why}", style="yellow" if state == "refused" else "bright_black")
    return line


def _row_counts(rows_read: int | None, rows_written: int | None) -> str:
    if rows_written is None:
        return f"{count_text(rows_read)} rows" if rows_read is not None else ""
    return (
        f"{count_text(rows_read)} → {count_text(rows_written)} rows"
        if rows_read is not None and rows_read != rows_written
        else f"{count_text(rows_written)} rows"
    )
