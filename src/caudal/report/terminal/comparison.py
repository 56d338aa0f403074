"""The document of ``caudal compare`` on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from caudal.inspection.shown import bytes_text
from caudal.report.terminal.console import console, grid, heading, inset

if TYPE_CHECKING:
    from caudal.report.documents.comparison import CompareDocument, PairDocument, PlatformDocument, Spread

_SIGNS = {
    "measured": ("✓", "green"), "recovered": ("✓", "green"), "refused": ("–", "yellow"), "not applicable": ("–", "yellow"),
    "unreachable": ("✗", "bold red"), "awaited": ("…", "yellow"), "failed": ("✗", "bold red"), "not recovered": ("✗", "bold red"),
}  # fmt: skip


def print_comparison(document: CompareDocument, to: Console | None = None) -> None:
    """Print what was measured on each platform, what may be claimed, whether the tables are equal, and what the faults did."""
    out = to or console()
    count = len(document["platforms"])
    out.print(
        heading(
            document["product"],
            f"{document['workload']} on {count} platform{'s' * (count != 1)}, {document['took_s']:.0f} s",
        )
    )
    if document["stopped_by"]:
        out.print(
            Text(
                f"… Stopped by {document['stopped_by']}; what was measured is kept, and given the comparison.json the same command writes its report.",
                style="yellow",
            )
        )
    out.print(inset(_platforms(document["platforms"])))
    for platform in document["platforms"]:
        if platform["why"] and platform["state"] != "awaited":
            out.print(Text(f"  {platform['platform']}: {platform['why']}", style="yellow"))
    for platform in document["platforms"]:
        checks = [each["ui_check"] for each in platform["repetitions"] if each["ui_check"] is not None]
        if differing := [line for check in checks for line in check["differing"]]:
            out.print(
                Text(
                    f"  {platform['platform']}: the event log and Spark's UI differ, for example in {differing[0]}.", style="yellow"
                )
            )
    _print_claims(document["pairs"], out)
    _print_tables(document, out)
    _print_faults(document, out)
    out.print(Text(f"All of it is kept in {document['folder']}.", style="dim"))


def _platforms(platforms: list[PlatformDocument]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("", "platform"):
        table.add_column(name)
    for name in ("start s", "work s", "least–most", "total s", "CPU s", "memory", "rows/s"):
        table.add_column(name, justify="right")
    for platform in platforms:
        sign, style = _SIGNS[platform["state"]]
        spreads = platform["spreads"]
        work = spreads.get("work_s")
        table.add_row(
            Text(sign, style=style), platform["platform"], _median(spreads.get("start_s")), _median(work),
            "" if work is None else f"{work['low']:.2f}–{work['high']:.2f}", _median(spreads.get("total_s")), _median(spreads.get("cpu_s")),
            "" if "peak_memory_bytes" not in spreads else bytes_text(int(spreads["peak_memory_bytes"]["median"])),
            "" if "rows_per_s" not in spreads else f"{spreads['rows_per_s']['median']:,.0f}",
        )  # fmt: skip
    return table


def _median(spread: Spread | None) -> str:
    return "" if spread is None else f"{spread['median']:.2f}"


def _print_claims(pairs: list[PairDocument], out: Console) -> None:
    shown = [pair for pair in pairs if pair["measure"] == "work_s"]
    if not shown:
        return
    out.print(heading("Time of the work"))
    lines = grid("left", "right", "left")
    for pair in shown:
        interval = "" if pair["low"] is None or pair["high"] is None else f"[{pair['low']:.2f}, {pair['high']:.2f}], "
        lines.add_row(f"{pair['platform']} / {pair['beside']}", f"{pair['ratio']:.2f}", f"{interval}{pair['claim']}")
    out.print(inset(lines))


def _print_tables(document: CompareDocument, out: Console) -> None:
    tables = [table for table in document["tables"] if len(table["rows"]) > 1 or not table["equal"]]
    if not tables:
        return
    equal = sum(table["equal"] for table in tables)
    out.print(heading("Tables", f"{equal} of {len(tables)} are equal to the bit on all platforms"))
    for table in tables:
        for each in table["differences"]:
            largest = "" if each["largest"] is None else f", at most {each['largest']:.2g} of the value"
            out.print(
                Text(f"  {table['table']}.{each['column']}: {each['rows']} rows differ between {each['platform']} and {each['beside']}{largest}")
            )  # fmt: skip


def _print_faults(document: CompareDocument, out: Console) -> None:
    if not document["faults"]:
        return
    out.print(heading("Faults"))
    lines = grid("left", "left", "left", "fill")
    for each in document["faults"]:
        sign, style = _SIGNS[each["state"]]
        if each["why"]:
            text = each["why"]
        else:
            again = "" if each["recovery_s"] is None else f"results again after {each['recovery_s']:.1f} s, "
            text = (
                f"{again}{each['work_s'] or 0:.1f} s instead of {each['undisturbed_s'] or 0:.1f} s; "
                f"{each['rows_lost'] or 0} rows lost, {each['rows_doubled'] or 0} doubled"
            )
        lines.add_row(Text(sign, style=style), each["fault"], each["platform"], text)
    out.print(inset(lines))
