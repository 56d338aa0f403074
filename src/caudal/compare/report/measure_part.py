"""All measures side by side, the times of steps, and the stages."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from caudal.compare.report.blocks import Block, DataTable, Heading, Legend, Paragraph, Plot
from caudal.compare.report.language import ReportLanguage, stage_name
from caudal.compare.report.plots import BarRow, DotRow, bar_plot, dot_plot
from caudal.compare.stage_conclusions import IMPORTANT
from caudal.compare.stage_shares import PARTS, median_repetition, stage_shares, without_stage_s
from caudal.report.figures import NONE

if TYPE_CHECKING:
    from caudal.report.documents.comparison import CompareDocument, PlatformDocument

# What is plotted; a table has all.
_PLOTTED = (
    "work_s", "start_s", "total_s", "rows_per_s", "cpu_s", "peak_memory_bytes", "run_ms", "gc_ms", "scheduler_delay_ms", "shuffle_read_bytes",
    "shuffle_write_bytes", "shuffle_fetch_wait_ms", "spilled_disk_bytes", "input_bytes", "output_bytes",
)  # fmt: skip
_LEAST_IN_LEGEND = 0.01


def measure_blocks(document: CompareDocument, language: ReportLanguage) -> list[Block]:
    """Return plots of the most important measures, the claims, and a table of all."""
    measured = [each for each in document["platforms"] if each["spreads"]]
    if not measured:
        return [Paragraph(language.text("measures.none"))]
    blocks: list[Block] = [Paragraph(language.text("measures.note"), soft=True)]
    for measure in _PLOTTED:
        rows = [
            DotRow(
                each["platform"], each["spreads"][measure]["values"], each["spreads"][measure]["median"],
                language.figure(measure, each["spreads"][measure]["median"]),
            )
            for each in measured
            if measure in each["spreads"] and each["spreads"][measure]["values"]
        ]  # fmt: skip
        if rows and any(row.median for row in rows):
            inner, height = dot_plot(rows, _writer(language, measure))
            title = language.word("measure", measure)
            texts = ", ".join(f"{row.label} {row.text}" for row in rows)
            blocks.append(Plot(inner, height, f"{title}: {texts}", caption=title))
    if document["pairs"]:
        blocks += _pairs(document, language)
    blocks += [Heading(language.text("measures.all")), _all_measures(measured, language)]
    blocks.append(Paragraph(language.text("measures.lacking"), soft=True))
    return [*blocks, *_latencies(document, language)]


def time_blocks(document: CompareDocument, language: ReportLanguage) -> list[Block]:
    """Return for each platform what its median repetition's time was made of."""
    typical = [(each, median_repetition(each)) for each in document["platforms"]]
    timed = [(platform, repetition) for platform, repetition in typical if repetition is not None]
    names = list(dict.fromkeys(step["step"] for _, repetition in timed for step in repetition["steps"]))
    if not names and not any(repetition["start_s"] for _, repetition in timed):
        return [Paragraph(language.text("times.none"))]
    start, rest = language.text("times.start"), language.text("times.rest")
    # The largest steps have colours of their own; the smallest share what is left.
    longest = sorted(names, key=lambda name: -max((_step_s(repetition, name) for _, repetition in timed), default=0.0))
    hues = {name: number for number, name in enumerate(sorted(longest[:6], key=names.index), 1)}
    rows = []
    for platform, repetition in timed:
        steps = [(step["step"], step["seconds"]) for step in repetition["steps"]]
        parts = [(0, repetition["start_s"] or 0.0, start)]
        parts += [(hues[name], seconds, f"{name}: {language.figure('of_s', seconds)}") for name, seconds in steps if name in hues]
        others = max((repetition["work_s"] or 0.0) - sum(seconds for name, seconds in steps if name in hues), 0.0)
        parts.append((7, others, rest))
        total = (repetition["start_s"] or 0.0) + (repetition["work_s"] or 0.0)
        rows.append(BarRow(platform["platform"], parts, language.figure("of_s", total)))
    inner, height = bar_plot(rows, _writer(language, "of_s"))
    legend = [(0, start), *((hue, name) for name, hue in hues.items()), (7, rest)]
    table = [
        [name, *(language.figure("of_s", _step_s(repetition, name)) if _has(repetition, name) else NONE for _, repetition in timed)]
        for name in longest
    ]
    columns = [language.text("column.step"), *(platform["platform"] for platform, _ in timed)]
    return [
        Paragraph(language.text("times.note"), soft=True),
        Plot(inner, height, "; ".join(f"{row.label} {row.text}" for row in rows)),
        Legend(legend),
        *([DataTable(columns, table, frozenset(range(1, len(columns))))] if table else []),
    ]


def stage_blocks(document: CompareDocument, language: ReportLanguage) -> list[Block]:
    """Return the stages that matter, each with what its task time was made of."""
    with_stages = [platform for platform in document["platforms"] if stage_shares(platform)]
    if not with_stages:
        return [Paragraph(language.text("stages.none"))]
    blocks: list[Block] = [
        Paragraph(language.text("stages.note", least_share=IMPORTANT) + " " + language.text("part.note"), soft=True),
        Legend([(number, language.text(f"part.{part}")) for number, part in enumerate(PARTS)]),
    ]
    for platform in with_stages:
        blocks += _stages_of(platform, language)
    return blocks


def _stages_of(platform: PlatformDocument, language: ReportLanguage) -> list[Block]:
    stages = [each for each in stage_shares(platform) if each.of_platform >= IMPORTANT] or stage_shares(platform)[:3]
    bars, rows = [], []
    for each in stages:
        stage, measures = each.stage, each.stage["measures"]
        parts = [
            (number, each.parts[part] / 1000, f"{language.text(f'part.{part}')}: {language.figure('of_ms', each.parts[part])}")
            for number, part in enumerate(PARTS)
        ]
        label = language.text("stages.one", stage=stage["stage"]) + (f".{stage['attempt']}" if stage["attempt"] else "")
        name = stage_name(stage["name"])
        name = name if len(name) < 44 else name[:43] + "…"
        bars.append(BarRow(f"{label} · {name}", parts, language.figure("of_ms", each.task_ms)))
        rows.append([
            label, language.figure("of_ms", stage["duration_ms"]), language.figure("tasks", stage["tasks"]), language.figure("of_ms", each.task_ms),
            language.figure("use_share", each.utilisation), language.figure("ratio", stage["skew"]), language.figure("stragglers", stage["stragglers"]),
            f"{language.figure('of_bytes', measures.get('shuffle_read_bytes'))} / {language.figure('of_bytes', measures.get('shuffle_write_bytes'))}",
            language.figure("of_bytes", measures.get("spilled_disk_bytes")), language.figure("of_ms", measures.get("gc_ms")),
        ])  # fmt: skip
    inner, height = bar_plot(bars, _writer(language, "of_s"))
    names = ("stage", "duration", "tasks", "task_time", "use", "skew", "stragglers", "shuffle", "spill", "gc")
    columns = [language.text(f"column.{name}") for name in names]
    blocks: list[Block] = [
        Heading(platform["platform"]),
        Plot(inner, height, "; ".join(f"{bar.label} {bar.text}" for bar in bars)),
        DataTable(columns, rows, frozenset(range(1, len(columns)))),
    ]
    idle, repetition = without_stage_s(platform), median_repetition(platform)
    if idle is not None and repetition is not None:
        text = language.text("stages.idle", platform=platform["platform"], idle_s=idle, work_s=repetition["work_s"])
        blocks.append(Paragraph(text))
    return blocks


def _pairs(document: CompareDocument, language: ReportLanguage) -> list[Block]:
    rows = [
        [
            language.word("measure", pair["measure"]), f"{pair['platform']} / {pair['beside']}", language.figure("ratio", pair["ratio"]),
            NONE if pair["low"] is None or pair["high"] is None else f"{language.figure('low', pair['low'])} – {language.figure('high', pair['high'])}",
            language.word("claim", pair["claim"]),
        ]
        for pair in document["pairs"]
    ]  # fmt: skip
    columns = [
        language.text(f"column.{name}", confidence_share=document["pairs"][0]["confidence"])
        for name in ("measure", "pair", "ratio", "interval", "claim")
    ]
    return [Paragraph(language.text("measures.pairs"), soft=True), DataTable(columns, rows, frozenset({2, 3}))]


def _all_measures(measured: list[PlatformDocument], language: ReportLanguage) -> DataTable:
    names = list(dict.fromkeys(name for each in measured for name in each["spreads"]))
    rows = [
        [
            language.word("measure", name),
            *(language.figure(name, each["spreads"][name]["median"]) if name in each["spreads"] else NONE for each in measured),
        ]
        for name in names
    ]
    if any(each["cost_per_million_rows"] is not None for each in measured):
        rows.append([language.text("column.cost"), *(language.figure("cost", each["cost_per_million_rows"]) for each in measured)])
    columns = [language.text("column.measure"), *(each["platform"] for each in measured)]
    return DataTable(columns, rows, frozenset(range(1, len(columns))))


def _latencies(document: CompareDocument, language: ReportLanguage) -> list[Block]:
    rows = [
        [platform["platform"], language.figure("batches", latency["batches"]), *(language.figure(name, latency[name]) for name in ("p50_ms", "p95_ms", "p99_ms"))]
        for platform in document["platforms"]
        if (repetition := median_repetition(platform)) is not None and (latency := repetition["latency"]) is not None
    ]  # fmt: skip
    columns = [language.text(f"column.{name}") for name in ("platform", "batches", "p50", "p95", "p99")]
    return [DataTable(columns, rows, frozenset({1, 2, 3, 4}))] if rows else []


def _step_s(repetition: object, name: str) -> float:
    steps = repetition["steps"]  # type: ignore[index]
    return float(sum(step["seconds"] for step in steps if step["step"] == name))


def _has(repetition: object, name: str) -> bool:
    return any(step["step"] == name for step in repetition["steps"])  # type: ignore[index]


def _writer(language: ReportLanguage, measure: str) -> Callable[[float], str]:
    return lambda value: language.figure(measure, value)
