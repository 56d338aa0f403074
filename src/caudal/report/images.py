"""What a run's page says of embedded images: what it took, where it lies in the plane of its first components, how much those explain."""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

from markupsafe import Markup

from caudal.ledger.rows import ComponentsDocument, EmbeddingDocument, StepRow
from caudal.report.charts import bar
from caudal.report.document import detail_of
from caudal.report.figures import count, duration

WIDTH, HEIGHT, EDGE = 640, 400, 24
HUES = 12  # colours told apart; further labels begin again with another shape
_WORDS = {
    "load": "loading the network", "read": "reading, and handing over to the worker", "decode": "decoding", "resize": "resizing", "infer": "the network",
    "write": "taking back, and writing",
}  # fmt: skip


def sections(done: Sequence[StepRow]) -> list[dict[str, object]]:
    """Return a section for each table of this run that was embedded or reduced."""
    found: list[dict[str, object]] = []
    for row in done:
        said = detail_of(row)
        if row["state"] == "succeeded" and ("embedding" in said or "pca" in said):
            found.append(
                {
                    "name": row["name"],
                    "network": None,
                    "critical": None,
                    "pca": None,
                    **_embedding(said.get("embedding")),
                    **_components(said.get("pca")),
                }
            )
    return found


def _embedding(said: EmbeddingDocument | None) -> dict[str, object]:
    if not said:
        return {}
    seconds = said.get("seconds", {})
    whole = sum(seconds.values())
    parts = [
        {
            "part": _WORDS.get(part, part),
            "seconds": duration(took),
            "share": f"{100 * took / whole:.0f} %",
            "bar": bar(0.0, took / whole, "part", f"{part}: {took / whole:.0%}"),
        }
        for part, took in seconds.items()
        if whole
    ]
    return {"network": said.get("network"), "plan": said.get("plan", []), "critical": _critical(said), "parts": parts}


def _critical(said: EmbeddingDocument) -> str | None:
    """Return what of a worker's time an image takes, and what takes most of it."""
    # A worker loads the network once, however many images there are.
    seconds, images = {part: took for part, took in said.get("seconds", {}).items() if part != "load"}, said.get("images", 0)
    whole = sum(seconds.values())
    if not images or not whole:
        return None
    first, second = sorted(seconds, key=lambda part: -seconds[part])[:2]
    return (
        f"Of {whole / images * 1000:.1f} ms of a worker for each of {count(images)} images, {_WORDS.get(first, first)} takes "
        f"{seconds[first] / images * 1000:.1f} ms ({seconds[first] / whole:.0%}), {_WORDS.get(second, second)} "
        f"{seconds[second] / images * 1000:.1f} ms, without loading the network, which a worker does once. "
        f"A million images take {whole / images * 1e6 / 3600:.1f} hours of one worker."
    )


def _components(said: ComponentsDocument | None) -> dict[str, object]:
    if not said:
        return {}
    points = said.get("points", [])
    return {"pca": said["said"], "explained": explained(said["ratio"]), "scatter": scatter(points, said["ratio"]) if points else ""}


def explained(ratio: Sequence[float]) -> Markup:
    """Return the variance that each component explains as bars, and what they explain together as a line."""
    most, together, inner, line = max(ratio, default=0.0) or 1.0, 0.0, "", []
    step = (WIDTH - 2 * EDGE) / max(1, len(ratio))
    low, high = HEIGHT / 2 - EDGE, EDGE / 2
    for number, one in enumerate(ratio):
        tall = (low - high) * one / most
        inner += (
            f'<rect class="part" x="{EDGE + number * step:.1f}" y="{low - tall:.1f}" width="{step * 0.8:.1f}" height="{tall:.1f}">'
            f"<title>component {number + 1}: {one:.1%}</title></rect>"
        )
        together += one
        line.append(f"{EDGE + (number + 0.4) * step:.1f},{low - (low - high) * min(together, 1.0):.1f}")
    inner += f'<line class="whole" x1="{EDGE}" x2="{WIDTH - EDGE}" y1="{high:.1f}" y2="{high:.1f}"/>'
    inner += f'<polyline class="sum" points="{" ".join(line)}"/>'
    below = HEIGHT / 2 - 6
    inner += f'<text x="{EDGE}" y="{below:.0f}">each component, the first {max(ratio, default=0.0):.1%}</text>'
    inner += f'<text class="sum" x="{WIDTH - EDGE}" y="{below:.0f}" text-anchor="end">{len(ratio)} components, {together:.1%} together</text>'
    inner += f'<text x="{WIDTH - EDGE}" y="{high + 12:.0f}" text-anchor="end">100%</text>'
    return _svg(HEIGHT // 2, "variance explained by component", inner)


def scatter(points: Sequence[tuple[float, float, str]], ratio: Sequence[float] = ()) -> Markup:
    """Return rows in the plane of their first two components, a colour for each label; axes say how much of the variance each explains."""
    labels = sorted({str(point[2]) for point in points})
    across, up = ([float(point[i]) for point in points] for i in (0, 1))
    inner = ""
    for (_, _, label), x, y in zip(points, _places(across, EDGE, WIDTH - EDGE), _places(up, HEIGHT - EDGE, EDGE), strict=True):
        number = labels.index(str(label))
        title = f"<title>{escape(str(label))}</title>"
        kind = f"hue{number % HUES}"
        if number < HUES:
            inner += f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="4">{title}</circle>'
        else:
            inner += f'<rect class="{kind}" x="{x - 3.5:.1f}" y="{y - 3.5:.1f}" width="7" height="7">{title}</rect>'
    first, second = (f"component {i + 1}" + (f", {ratio[i]:.1%} of the variance" if len(ratio) > i else "") for i in (0, 1))
    inner += f'<text x="{WIDTH - EDGE}" y="{HEIGHT - 4}" text-anchor="end">{first} →</text>'
    inner += f'<text x="12" y="{EDGE}" text-anchor="end" transform="rotate(-90 12 {EDGE})">{second} →</text>'
    legend = "".join(
        f'<span class="one"><span class="key hue{number % HUES}{" square" if number >= HUES else ""}"></span>{escape(label)}</span> '
        for number, label in enumerate(labels[: 2 * HUES])
    )
    return _svg(HEIGHT, "first and second component", inner) + Markup(f'<p class="legend">{legend}</p>')  # noqa: S704 labels are escaped


def _places(values: Sequence[float], begin: float, end: float) -> list[float]:
    known = [value for value in values if math.isfinite(value)]
    low, high = min(known, default=0.0), max(known, default=1.0)
    return [
        begin + (end - begin) * ((value - low) / (high - low) if high > low and math.isfinite(value) else 0.5) for value in values
    ]


def _svg(height: int, said: str, inner: str) -> Markup:
    return Markup(f'<svg class="plane" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{said}">{inner}</svg>')  # noqa: S704 all text in it is escaped
