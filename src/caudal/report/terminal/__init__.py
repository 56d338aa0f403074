"""The terminal output: progress of steps, the closing summary, the status of products, tables and cards."""

from caudal.report.terminal.monitors import monitors
from caudal.report.terminal.preview import print_preview
from caudal.report.terminal.progress import TerminalProgress
from caudal.report.terminal.served import print_served
from caudal.report.terminal.service_levels import print_service_levels
from caudal.report.terminal.status import print_status
from caudal.report.terminal.streams import parity_text, streams
from caudal.report.terminal.summary import print_summary
from caudal.report.terminal.tables import print_document, table
from caudal.report.terminal.times import print_times
from caudal.report.terminal.up import backfill_plan, up_line
from caudal.report.terminal.why import print_why

__all__ = [
    "TerminalProgress",
    "backfill_plan",
    "monitors",
    "parity_text",
    "print_document",
    "print_preview",
    "print_served",
    "print_service_levels",
    "print_status",
    "print_summary",
    "print_times",
    "print_why",
    "streams",
    "table",
    "up_line",
]
