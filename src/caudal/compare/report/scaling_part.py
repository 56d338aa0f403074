"""The models of scaling: measured and predicted points with the curve, and a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from caudal.compare.report.blocks import Block, DataTable, Heading, Paragraph, Plot
from caudal.compare.report.language import ReportLanguage
from caudal.compare.report.plots import Mark, curve_plot
from caudal.compare.scaling import predicted_s
from caudal.report.figures import NONE

if TYPE_CHECKING:
    from caudal.report.documents.comparison import CompareDocument, ScalingDocument, ScalingPoint

_FARTHEST = 4


def scaling_blocks(document: CompareDocument, language: ReportLanguage) -> list[Block]:
    """Return the models that could be fitted."""
    if not document["scaling"]:
        return [Paragraph(language.text("scaling.none"))]
    blocks: list[Block] = [Paragraph(language.text("scaling.note"), soft=True)]
    for model in document["scaling"]:
        text = language.text(f"scaling.{model['law']}", platform=model["platform"], error_share=model["error"])
        blocks += [Heading(model["platform"]), Paragraph(text), *_plots(model, language), *_tables(model, language)]
    return blocks


def _plots(model: ScalingDocument, language: ReportLanguage) -> list[Plot]:
    """Return the time over the cores for the whole data, and over the data on the most cores, each where that varied."""
    points = [*model["points"], *model["predictions"]]
    measured = model["points"]
    largest, most = max(point["share"] for point in measured), max(point["cores"] for point in measured)
    parameters = {name: value for name, value in model["parameters"].items() if name.endswith("_s")}
    plots = []
    # What lies far beyond the measurements would squeeze them into a corner; the table has it.
    over_cores = [point for point in points if point["share"] == largest and point["cores"] <= _FARTHEST * most]
    if len({point["cores"] for point in over_cores}) > 1:
        plots.append(
            _plot([_mark(point["cores"], point) for point in over_cores], language, "cores_axis",
                  lambda cores: predicted_s(parameters, cores, largest))
        )  # fmt: skip
    over_sizes = [point for point in points if point["cores"] == most and point["share"] <= _FARTHEST * largest]
    if len({point["share"] for point in over_sizes}) > 1:
        plots.append(
            _plot([_mark(point["share"], point) for point in over_sizes], language, "share_axis", lambda share: predicted_s(parameters, most, share))
        )  # fmt: skip
    return plots


def _plot(marks: list[Mark], language: ReportLanguage, axis: str, model: object) -> Plot:
    words = language.text(f"scaling.{axis}")
    inner, height = curve_plot(marks, model, words, lambda value: language.figure("of_s", value))  # type: ignore[arg-type]
    label = "; ".join(f"{mark.x:g} {words}: {language.figure('of_s', mark.y)}" for mark in marks)
    return Plot(inner, height, label, caption=f"{language.text('measure.work_s')} / {words}")


def _mark(x: float, point: ScalingPoint) -> Mark:
    if point["work_s"] is None:
        return Mark(float(x), point["predicted_s"], "prediction")
    return Mark(float(x), point["work_s"], "held_out" if point["held_out"] else "fitted")


def _tables(model: ScalingDocument, language: ReportLanguage) -> list[Block]:
    rows = []
    for point in [*model["points"], *model["predictions"]]:
        kind = "prediction" if point["work_s"] is None else "held_out" if point["held_out"] else "fitted"
        error = NONE if not point["work_s"] else language.figure("more_share", point["predicted_s"] / point["work_s"] - 1)
        rows.append([
            str(point["cores"]), language.figure("times", point["share"]), language.text(f"scaling.{kind}"), language.figure("work_s", point["work_s"]),
            language.figure("work_s", point["predicted_s"]), error,
        ])  # fmt: skip
    names = ("cores", "share", "kind", "measured", "predicted", "error")
    columns = [language.text(f"column.{name}") for name in names]
    parameters = [[name, language.figure(name, value)] for name, value in model["parameters"].items()]
    return [
        DataTable(columns, rows, frozenset({0, 1, 3, 4, 5})),
        DataTable([language.text("column.parameter"), language.text("column.value")], parameters, frozenset({1})),
    ]
