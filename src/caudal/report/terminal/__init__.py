"""The terminal output: progress of steps, the closing summary, the status of products, tables and cards."""

from caudal.report.terminal.monitors import monitors
from caudal.report.terminal.progress import Progress
from caudal.report.terminal.status import status
from caudal.report.terminal.streams import parity, streams
from caudal.report.terminal.summary import summary
from caudal.report.terminal.tables import card, table
from caudal.report.terminal.times import times
from caudal.report.terminal.up import backfill_plan, up_line
from caudal.report.terminal.why import why

__all__ = [
    "Progress",
    "backfill_plan",
    "card",
    "monitors",
    "parity",
    "status",
    "streams",
    "summary",
    "table",
    "times",
    "up_line",
    "why",
]
