"""An architecture as a drawing: its parts as boxes, from left to right, and what connects them."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from caudal.compare.report.blocks import Plot
from caudal.compare.report.language import ReportLanguage
from caudal.graph.layout import LAYER_GAP, lay_out, layers
from caudal.graph.shape import Graph, GraphNode
from caudal.report.figures import size

if TYPE_CHECKING:
    from caudal.report.documents.comparison import Diagram, DiagramEdge, DiagramNode

_CHARACTER, _MARGIN, _HEIGHT, _STACK = 7.4, 10.0, 62.0, 5.0
_MOST_SIGNS = 34
# After the kind of a part.
_HUES = {
    "driver": 0,
    "executor": 1,
    "worker": 2,
    "master": 3,
    "server": 3,
    "process": 0,
    "store": 5,
    "source": 4,
    "python": 6,
    "gpu": 7,
}


def architecture_plot(diagram: Diagram, platform: str, language: ReportLanguage) -> Plot:
    """Return the drawing of a platform."""
    edges = _forward(diagram)
    nodes = {node["id"]: node for node in diagram["nodes"]}
    graph = Graph(
        {
            name: GraphNode(name, node["kind"], tuple(edge["source"] for edge in edges if edge["target"] == name))
            for name, node in nodes.items()
        }
    )
    texts = {name: _texts(node, language) for name, node in nodes.items()}
    widths = {name: max(96.0, 24 + _CHARACTER * max(len(line) for line in lines)) for name, lines in texts.items()}
    layout, layer = lay_out(graph, widths, _HEIGHT), layers(graph)
    # Labels of connections need more room between two layers than the layout leaves.
    longest = max((len(line) for edge in edges for line in _halves(language.phrase(edge["label"]))), default=0)
    more = max(0.0, 6.4 * longest + 22 - LAYER_GAP)
    inner, labelled = "", set[tuple[str, str]]()
    for edge in edges:
        # Connections of one part that say the same say it once.
        ends = {(edge["label"], f"from {edge['source']}"), (edge["label"], f"to {edge['target']}")}
        label = "" if labelled & ends else language.phrase(edge["label"])
        labelled |= ends
        points = layout.edges[edge["source"], edge["target"]]
        begin = layer[edge["source"]]
        moved = [(x + more * (begin + (number + 1) // 2), y) for number, (x, y) in enumerate(points)]
        inner += _edge(moved, label)
    for name, node in nodes.items():
        box = layout.boxes[name]
        inner += _box(
            box.x + more * layer[name], box.y, box.width, texts[name], _HUES.get(node["kind"], 7), stacked=node["count"] > 1
        )
    width = layout.width + more * max(layer.values(), default=0) + 2 * _MARGIN + _STACK
    return Plot(
        f'<g transform="translate({_MARGIN:g} {_MARGIN + 8:g})">{inner}</g>',
        layout.height + 2 * _MARGIN + 8 + _STACK,
        f"{language.text('diagram.drawing', platform=platform)}: {', '.join(lines[0] for lines in texts.values())}",
        width=round(width),
    )


def _forward(diagram: Diagram) -> list[DiagramEdge]:
    """Return the edges between known parts without those that lead back."""
    known = {node["id"] for node in diagram["nodes"]}
    kept: list[DiagramEdge] = []
    reached: dict[str, set[str]] = {name: {name} for name in known}  # from where each can be reached
    for edge in diagram["edges"]:
        source, target = edge["source"], edge["target"]
        if (
            not {source, target} <= known
            or target in reached[source]
            or any((each["source"], each["target"]) == (source, target) for each in kept)
        ):
            continue
        kept.append(edge)
        for name in known:
            if target in reached[name]:
                reached[name] |= reached[source]
    return kept


def _texts(node: DiagramNode, language: ReportLanguage) -> list[str]:
    label = language.phrase(node["label"])
    name = label if node["count"] <= 1 else f"{node['count']} × {label}"
    cores = node["cores"]
    has = [
        *([language.text("diagram.core") if cores == 1 else language.text("diagram.cores", count=cores)] if cores else []),
        *([language.localized(size(node["memory_bytes"]))] if node["memory_bytes"] else []),
    ]
    return [_cut(line) for line in (name, node["host"] or "", " · ".join(has)) if line]


def _cut(line: str) -> str:
    return line if len(line) <= _MOST_SIGNS else line[: _MOST_SIGNS - 1] + "…"


def _box(x: float, y: float, width: float, lines: Sequence[str], hue: int, *, stacked: bool) -> str:
    inner = ""
    if stacked:
        inner += f'<rect class="box" x="{x + _STACK:g}" y="{y + _STACK:g}" width="{width:g}" height="{_HEIGHT:g}" rx="6"/>'
    inner += f'<rect class="box" x="{x:g}" y="{y:g}" width="{width:g}" height="{_HEIGHT:g}" rx="6"/>'
    inner += f'<rect class="hue{hue}" x="{x:g}" y="{y:g}" width="5" height="{_HEIGHT:g}" rx="2"/>'
    top = y + _HEIGHT / 2 - 8 * (len(lines) - 1) + 4
    for number, line in enumerate(lines):
        kind = "label" if number == 0 else "value"
        inner += f'<text class="{kind}" x="{x + 14:g}" y="{top + 16 * number:g}">{escape(line, quote=False)}</text>'
    return inner


def _edge(points: Sequence[tuple[float, float]], label: str) -> str:
    (x, y), *rest = points
    path = f"M{x:g} {y:g}"
    for to_x, to_y in rest:
        middle = (x + to_x) / 2
        path += f"C{middle:g} {y:g} {middle:g} {to_y:g} {to_x:g} {to_y:g}"
        x, y = to_x, to_y
    (first_x, first_y), (next_x, next_y) = points[0], points[1]
    inner = f'<path class="edge" d="{path}"/><path class="tip" d="M{x:g} {y:g}l-7 -4v8z"/>'
    middle_x, middle_y = (first_x + next_x) / 2, (first_y + next_y) / 2
    lines = _halves(label)
    # Above a level line; beside one that rises or falls.
    top = middle_y - 6 - 13 * (len(lines) - 1)
    if next_y > first_y + 12:
        top = middle_y + 4
    for number, line in enumerate(lines):
        text = escape(line, quote=False)
        inner += f'<text class="small halo" x="{middle_x:g}" y="{top + 13 * number:g}" text-anchor="middle">{text}</text>'
    return inner


def _halves(label: str) -> list[str]:
    """Return a label in two lines where it has several words.

    Examples
    --------
    >>> _halves("asks for executors"), _halves("tasks"), _halves("")
    (['asks for', 'executors'], ['tasks'], [])
    """
    words = label.split()
    if len(label) < 10 or len(words) < 2:
        return [label] if label else []
    cut = min(range(1, len(words)), key=lambda at: max(len(" ".join(words[:at])), len(" ".join(words[at:]))))
    return [" ".join(words[:cut]), " ".join(words[cut:])]
