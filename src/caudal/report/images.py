"""Embedded images on a run's page: the time that embedding took, the rows in the plane of the first components, and the variance these explain."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from markupsafe import Markup

from caudal.ledger.rows import ComponentsDocument, EmbeddingDocument, StepRow
from caudal.report.charts import bar
from caudal.report.document import detail_of
from caudal.report.figures import count_text, duration

WIDTH, HEIGHT, EDGE = 640, 400, 24
HUES = 12  # distinguishable colours; further labels use them again with another shape
_WORDS = {
    "load": "loading the network", "read": "reading, and handing over to the worker", "decode": "decoding", "resize": "resizing", "infer": "the network",
    "write": "taking back, and writing",
}  # fmt: skip


def embedding_sections(run_steps: Sequence[StepRow]) -> list[dict[str, object]]:
    """Return a section for each table of this run that was embedded or reduced to components."""
    content: list[dict[str, object]] = []
    for row in run_steps:
        detail = detail_of(row)
        if row["state"] == "succeeded" and ("embedding" in detail or "pca" in detail):
            content.append(
                {
                    "name": row["name"],
                    "network": None,
                    "critical": None,
                    "pca": None,
                    **_embedding(detail.get("embedding")),
                    **_components(detail.get("pca")),
                }
            )
    return content


def _embedding(embedding: EmbeddingDocument | None) -> dict[str, object]:
    if not embedding:
        return {}
    seconds = embedding.get("seconds", {})
    total = sum(seconds.values())
    parts = [
        {
            "part": _WORDS.get(part, part),
            "seconds": duration(part_s),
            "share": f"{100 * part_s / total:.0f} %",
            "bar": bar(0.0, part_s / total, "part", f"{part}: {part_s / total:.0%}"),
        }
        for part, part_s in seconds.items()
        if total
    ]
    return {
        "network": embedding.get("network"),
        "plan": embedding.get("plan", []),
        "critical": _critical(embedding),
        "parts": parts,
    }


def _critical(embedding: EmbeddingDocument) -> str | None:
    """Return in a sentence how much of a worker's time one image takes, and which parts take most of it; None where nothing was measured."""
    # A worker loads the network once, however many images there are.
    seconds, images = (
        {part: part_s for part, part_s in embedding.get("seconds", {}).items() if part != "load"},
        embedding.get("images", 0),
    )
    total = sum(seconds.values())
    if not images or not total:
        return None
    first, second = sorted(seconds, key=lambda part: -seconds[part])[:2]
    return (
        f"Of {total / images * 1000:.1f} ms of a worker for each of {count_text(images)} images, {_WORDS.get(first, first)} takes "
        f"{seconds[first] / images * 1000:.1f} ms ({seconds[first] / total:.0%}), {_WORDS.get(second, second)} "
        f"{seconds[second] / images * 1000:.1f} ms, without loading the network, which a worker does once. "
        f"A million images take {total / images * 1e6 / 3600:.1f} hours of one worker."
    )


def _components(components: ComponentsDocument | None) -> dict[str, object]:
    if not components:
        return {}
    points = components.get("points", [])
    return {
        "pca": components["said"],
        "explained": explained_variance_chart(components["ratio"]),
        "scatter": scatter_chart(points, components["ratio"]) if points else "",
    }


def explained_variance_chart(ratio: Sequence[float]) -> Markup:
    """Return a chart of the variance that each component explains, as bars, and of its running sum, as a line."""
    highest, total, shapes, points = max(ratio, default=0.0) or 1.0, 0.0, "", []
    step = (WIDTH - 2 * EDGE) / max(1, len(ratio))
    low, high = HEIGHT / 2 - EDGE, EDGE / 2
    for number, share in enumerate(ratio):
        height = (low - high) * share / highest
        shapes += (
            f'<rect class="part" x="{EDGE + number * step:.1f}" y="{low - height:.1f}" width="{step * 0.8:.1f}" height="{height:.1f}">'
            f"<title>component {number + 1}: {share:.1%}</title></rect>"
        )
        total += share
        points.append(f"{EDGE + (number + 0.4) * step:.1f},{low - (low - high) * min(total, 1.0):.1f}")
    shapes += f'<line class="whole" x1="{EDGE}" x2="{WIDTH - EDGE}" y1="{high:.1f}" y2="{high:.1f}"/>'
    shapes += f'<polyline class="sum" points="{" ".join(points)}"/>'
    below = HEIGHT / 2 - 6
    shapes += f'<text x="{EDGE}" y="{below:.0f}">each component, the first {max(ratio, default=0.0):.1%}</text>'
    shapes += f'<text class="sum" x="{WIDTH - EDGE}" y="{below:.0f}" text-anchor="end">{len(ratio)} components, {total:.1%} together</text>'
    shapes += f'<text x="{WIDTH - EDGE}" y="{high + 12:.0f}" text-anchor="end">100%</text>'
    return _svg(HEIGHT // 2, "variance explained by component", shapes)


def scatter_chart(points: Sequence[tuple[float, float, str]], ratio: Sequence[float] = ()) -> Markup:
    """Return a scatter chart of rows by their first two components, a colour for each label; each axis names its share of the variance."""
    labels = sorted({str(point[2]) for point in points})
    x_values, y_values = ([float(point[i]) for point in points] for i in (0, 1))
    shapes = ""
    for (_, _, label), x, y in zip(
        points, _places(x_values, EDGE, WIDTH - EDGE), _places(y_values, HEIGHT - EDGE, EDGE), strict=True
    ):
        number = labels.index(str(label))
        title = f"<title>{escape(str(label), quote=False)}</title>"
        kind = f"hue{number % HUES}"
        if number < HUES:
            shapes += f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="4">{title}</circle>'
        else:
            shapes += f'<rect class="{kind}" x="{x - 3.5:.1f}" y="{y - 3.5:.1f}" width="7" height="7">{title}</rect>'
    first, second = (f"component {i + 1}" + (f", {ratio[i]:.1%} of the variance" if len(ratio) > i else "") for i in (0, 1))
    shapes += f'<text x="{WIDTH - EDGE}" y="{HEIGHT - 4}" text-anchor="end">{first} →</text>'
    shapes += f'<text x="12" y="{EDGE}" text-anchor="end" transform="rotate(-90 12 {EDGE})">{second} →</text>'
    legend = "".join(
        f'<span class="entry"><span class="key hue{number % HUES}{" square" if number >= HUES else ""}"></span>{escape(label, quote=False)}</span> '
        for number, label in enumerate(labels[: 2 * HUES])
    )
    return _svg(HEIGHT, "first and second component", shapes) + Markup(f'<p class="legend">{legend}</p>')  # noqa: S704 labels are escaped


def _places(values: Sequence[float], begin: float, end: float) -> list[float]:
    finite = [value for value in values if math.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=1.0)
    return [
        begin + (end - begin) * ((value - low) / (high - low) if high > low and math.isfinite(value) else 0.5) for value in values
    ]


def _svg(height: int, label: str, inner: str) -> Markup:
    return Markup(f'<svg class="plane" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{label}">{inner}</svg>')  # noqa: S704 all text in it is escaped
