"""The sections of the report, conclusions first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from caudal.compare.report.blocks import (
    Block,
    ConclusionRows,
    DataTable,
    Heading,
    Paragraph,
    Report,
    ReportPart,
    Screenshot,
)
from caudal.compare.report.diagram import architecture_plot
from caudal.compare.report.fault_part import fault_blocks
from caudal.compare.report.language import ReportLanguage
from caudal.compare.report.measure_part import measure_blocks, stage_blocks, time_blocks
from caudal.compare.report.scaling_part import scaling_blocks
from caudal.report.figures import NONE

if TYPE_CHECKING:
    from caudal.report.documents.comparison import CompareDocument

_MOST_SETTINGS, _MOST_SIGNS = 40, 140
_GROUPS = ("platforms", "results", "bottlenecks", "predictions", "gaps")
Pictures = Mapping[str, Sequence[tuple[str, bytes]]]


def build_report(
    document: CompareDocument, language: ReportLanguage, pictures: Pictures | None = None, no_pictures: str | None = None
) -> Report:
    """Return the report.

    Parameters
    ----------
    pictures : by platform, titles (or the name of a page of Spark's UI) and PNG
    no_pictures : why there are none
    """
    parts: dict[str, list[Block]] = {
        "conclusions": _conclusions(document, language),
        "architectures": _architectures(document, language),
        "data": _data(document, language),
        "measures": measure_blocks(document, language),
        "times": time_blocks(document, language),
        "stages": stage_blocks(document, language),
        "faults": fault_blocks(document, language),
        "tables": _tables(document, language),
        "scaling": scaling_blocks(document, language),
        "environment": _environment(document, language),
        "screenshots": _screenshots(pictures or {}, no_pictures, language),
        "method": _method(document, language),
    }
    about = language.text(
        "about", product=document["product"], workload=document["workload"], platforms=", ".join(each["platform"] for each in document["platforms"]),
        at=document["at"], took_s=document["took_s"], repeats=document["repeats"], warm_ups=document["warm_ups"], seed=document["seed"],
    )  # fmt: skip
    if not document["complete"]:
        stopped = document["stopped_by"]
        about += " " + (language.text("not_ended") if stopped is None else language.text("incomplete_about", why=stopped))
    title = language.text("title", product=document["product"])
    sections = [ReportPart(name, language.text(f"section.{name}"), blocks) for name, blocks in parts.items()]
    return Report(language.code, title, about, document["at"], sections)


def _conclusions(document: CompareDocument, language: ReportLanguage) -> list[Block]:
    if not document["conclusions"]:
        return [Paragraph(language.text("conclusion.nothing"))]
    groups: dict[str, list[tuple[str, str, str]]] = {}
    for each in document["conclusions"]:
        row = (each["certainty"], language.text(f"certainty.{each['certainty']}"), language.sentence(each))
        groups.setdefault(_group(each["key"]), []).append(row)
    blocks: list[Block] = []
    for name in _GROUPS:
        if name in groups:
            blocks += [Heading(language.text(f"group.{name}")), ConclusionRows(groups[name])]
    return [*blocks, Paragraph(language.text("certainty.note"), soft=True)]


def _group(key: str) -> str:
    if key in ("driver", "bottleneck") or key.startswith("help_"):
        return "bottlenecks"
    if key.startswith(("table", "fault")):
        return "results"
    if key in ("model", "model_poor", "more_cores", "cores_harm"):
        return "predictions"
    return "gaps" if key in ("not_measured", "awaited", "incomplete", "not_ended", "nothing") else "platforms"


def _architectures(document: CompareDocument, language: ReportLanguage) -> list[Block]:
    columns = ["platform", "engine", "master", "cores", "memory", "state"]
    rows = [
        [
            each["platform"], each["engine"], each["master"] or NONE, language.figure("cores", each["cores"]), each["memory"] or NONE,
            language.word("state", each["state"]),
        ]
        for each in document["platforms"]
    ]  # fmt: skip
    blocks: list[Block] = [_table(language, columns, rows, right=(3,)), Paragraph(language.text("diagrams.note"), soft=True)]
    for platform in document["platforms"]:
        blocks.append(Heading(f"{platform['platform']}: {language.phrase(platform['title'])}"))
        if platform["why"]:
            blocks.append(Paragraph(language.phrase(platform["why"])))
        if platform["diagram"]["nodes"]:
            blocks.append(architecture_plot(platform["diagram"], platform["platform"], language))
        elif platform["state"] == "measured":
            blocks.append(Paragraph(language.text("diagram.none"), soft=True))
        if platform["missing"]:
            blocks.append(Paragraph(language.text("missing", what="; ".join(map(language.phrase, platform["missing"]))), soft=True))
    return blocks


def _data(document: CompareDocument, language: ReportLanguage) -> list[Block]:
    blocks: list[Block] = []
    if document["sources"]:
        rows = [
            [
                each["source"],
                each["kind"],
                language.figure("files", each["files"]),
                language.figure("of_bytes", each["bytes"]),
                language.figure("rows", each["rows"]),
            ]
            for each in document["sources"]
        ]
        blocks.append(_table(language, ["source", "kind", "files", "bytes", "rows"], rows, right=(2, 3, 4)))
    else:
        blocks.append(Paragraph(language.text("data.none")))
    if document["tables"]:
        published = [
            [each["table"], _rows(language, each["rows"]), ", ".join(each["columns"]) or NONE] for each in document["tables"]
        ]
        blocks += [
            Paragraph(language.text("data.tables")),
            _table(language, ["table", "rows", "columns"], published, right=(1,)),
        ]
    return blocks


def _tables(document: CompareDocument, language: ReportLanguage) -> list[Block]:
    compared = [table for table in document["tables"] if len(table["rows"]) > 1]
    if not compared:
        return [Paragraph(language.text("tables.none"))]
    rows = [
        [
            table["table"],
            ", ".join(table["rows"]),
            _rows(language, table["rows"]),
            language.text("yes" if table["equal"] else "no"),
        ]
        for table in compared
    ]
    blocks: list[Block] = [
        Paragraph(language.text("tables.note"), soft=True),
        _table(language, ["table", "pair", "rows", "equal"], rows, right=(2,)),
    ]
    differences = [
        [
            table["table"], each["column"], f"{each['platform']} / {each['beside']}", language.figure("rows", each["rows"]),
            language.figure("largest", each["largest"]),
        ]
        for table in compared
        for each in table["differences"]
    ]  # fmt: skip
    if differences:
        blocks.append(_table(language, ["table", "column", "pair", "rows_differ", "largest"], differences, right=(3, 4)))
    return blocks


def _rows(language: ReportLanguage, rows: Mapping[str, int]) -> str:
    """Return the number of rows, once where all platforms have as many."""
    if len({*rows.values()}) == 1:
        return language.figure("rows", next(iter(rows.values())))
    return ", ".join(f"{platform}: {language.figure('rows', count)}" for platform, count in rows.items()) or NONE


def _environment(document: CompareDocument, language: ReportLanguage) -> list[Block]:
    blocks: list[Block] = [
        Heading(language.text("environment.machine")),
        _table(language, ["part", "value"], [[name, value] for name, value in document["machine"].items()]),
    ]
    for each in document["platforms"]:
        if machine := each.get("machine"):  # an older document has none
            blocks += [
                Heading(language.text("environment.machine_of", platform=each["platform"])),
                _table(language, ["part", "value"], [[name, value] for name, value in machine.items()]),
            ]
    measured = [each for each in document["platforms"] if each["versions"]]
    if measured:
        names = list(dict.fromkeys(name for each in measured for name in each["versions"]))
        rows = [[name, *(each["versions"].get(name, NONE) for each in measured)] for name in names]
        blocks += [
            Heading(language.text("environment.versions")),
            DataTable([language.text("column.part"), *(each["platform"] for each in measured)], rows),
        ]
    blocks.append(Heading(language.text("environment.differences")))
    different = [each for each in document["differences"] if each["settings"]]
    if not different:
        blocks.append(Paragraph(language.text("environment.none")))
    for pair in different:
        settings = sorted(pair["settings"], key=lambda each: (each["part"] != "Spark Properties", each["part"], each["setting"]))
        rows = [[each["setting"], _short(each["value"]), _short(each["other"])] for each in settings[:_MOST_SETTINGS]]
        columns = [language.text("column.setting"), pair["platform"], pair["other"]]
        blocks.append(DataTable(columns, rows, folded=f"{pair['platform']} / {pair['other']} ({len(settings)})"))
        if len(settings) > _MOST_SETTINGS:
            blocks.append(Paragraph(language.text("environment.more", count=len(settings) - _MOST_SETTINGS), soft=True))
    return blocks


def _short(value: str | None) -> str:
    if value is None:
        return NONE
    return value if len(value) <= _MOST_SIGNS else value[: _MOST_SIGNS - 1] + "…"


def _screenshots(pictures: Pictures, why: str | None, language: ReportLanguage) -> list[Block]:
    if not any(pictures.values()):
        return [
            Paragraph(language.text("screenshots.none", why=(why or language.text("screenshots.unasked")).rstrip("."))),
        ]
    blocks: list[Block] = [Paragraph(language.text("screenshots.note"), soft=True)]
    for platform, pages in pictures.items():
        blocks.append(Heading(platform))
        blocks += [Screenshot(language.word("page", title), png) for title, png in pages]
    return blocks


def _method(document: CompareDocument, language: ReportLanguage) -> list[Block]:
    blocks: list[Block] = [
        Paragraph(language.text("method.repetitions", repeats=document["repeats"], warm_ups=document["warm_ups"], seed=document["seed"])),
        Paragraph(language.text("method.interval")),
        Paragraph(language.text("method.log")),
    ]  # fmt: skip
    blocks += [
        Paragraph(language.text("method.away", platform=each["platform"])) for each in document["platforms"] if each.get("machine")
    ]
    checks = {
        platform["platform"]: [each["ui_check"] for each in platform["repetitions"] if each["ui_check"] is not None]
        for platform in document["platforms"]
    }
    for name, of_platform in checks.items():
        if of_platform:
            differing = [line for each in of_platform for line in each["differing"]]
            stages, compared = (sum(each[part] for each in of_platform) for part in ("stages", "compared"))
            text = language.text("method.ui", platform=name, stages=stages, compared=compared, differing=len(differing))
            blocks.append(Paragraph(" ".join([text, *differing[:5]])))
    if not any(checks.values()):
        blocks.append(Paragraph(language.text("method.no_ui")))
    for platform in document["platforms"]:
        blocks += [
            Paragraph(
                language.text("method.repetition_failed", platform=platform["platform"], number=each["number"], state=each["state"], why=each["why"])
            )
            for each in platform["repetitions"]
            if each["state"] != "done"
        ]  # fmt: skip
    return blocks


def _table(
    language: ReportLanguage, columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()
) -> DataTable:
    return DataTable([language.text(f"column.{name}") for name in columns], rows, frozenset(right))
