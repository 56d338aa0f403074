"""A graph → a drawing: rails and names for a terminal, boxes and curves as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

from caudal.graph.layout import Box, lay_out
from caudal.graph.node_kind import Style
from caudal.graph.registered import styles
from caudal.graph.shape import Graph, GraphNode, NodeState

__all__ = ["as_svg", "as_text"]

UNKNOWN = Style("□", "#5b6675", "#a2adbb")  # for nodes of a kind that is not installed, which a catalog may contain
STATES = {"succeeded": "✓", "skipped": "–", "failed": "✗", "waiting": "…", "running": "▸"}

CHARACTER = 7.9  # widest of the usual monospace faces at 13 px (0.604 em)
SMALL = 6.7  # the same at 11 px
LONGEST_NAME = 30
MARGIN = 8.0
LEAST_SCALE = (
    0.8  # a drawing that is too wide for its page is scaled down to this at most, so that it stays legible; beyond that it scrolls
)

_STYLE = """
.cg{--ink:#1c2430;--soft:#5b6675;--paper:#fff;--line:#a3adba;
%(light)s
--succeeded:#26794a;--skipped:#76808d;--failed:#c0272d;--waiting:#8a6a12;--running:#2f6f9f}
@media (prefers-color-scheme:dark){.cg{--ink:#e6eaf0;--soft:#a2adbb;--paper:#171c24;--line:#5d6876;
%(dark)s
--succeeded:#5fc487;--skipped:#929cab;--failed:#ff7a78;--waiting:#dcb45a;--running:#6cb2e4}}
@media print{.cg{--ink:#000;--soft:#444;--paper:#fff;--line:#888;
%(light)s
--succeeded:#26794a;--skipped:#76808d;--failed:#c0272d;--waiting:#8a6a12;--running:#2f6f9f}}
.cg text{font-family:ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:var(--ink)}
.cg .name{font-size:13px;font-weight:600}
.cg .small{font-size:11px;fill:var(--soft)}
.cg .badge{font-size:11px;font-weight:700;fill:var(--paper);text-anchor:middle}
.cg .edge{fill:none;stroke:var(--line);stroke-width:1.5}
.cg .tip{fill:var(--line)}
.cg .side{stroke-width:3;stroke-linecap:round}
.cg rect{fill:var(--paper);stroke-width:1.5}
.cg .idle rect{stroke-dasharray:4 3}
.cg .idle .name{font-weight:400}
""".strip().replace("\n", "")


def as_text(graph: Graph, width: int = 100) -> str:
    """Return the graph as text, one line a node, inputs above their readers, with lines on the left that connect them.

    Examples
    --------
    >>> print(as_text(Graph({"a": GraphNode("a", "source"), "b": GraphNode("b", "table", ("a",))})))
    ● a   source
    ■ b   table    ← a
    """
    rails = _rails(graph)
    across = max((len(rail) for rail, _ in rails.values()), default=0)
    name_width = max((len(name) for name in graph.nodes), default=0)
    kind_width = max((len(node.kind) for node in graph.nodes.values()), default=0)
    lines = []
    for name, (rail, below) in rails.items():
        node = graph.nodes[name]
        head = f"{rail:<{across}} {name:<{name_width}}   {node.kind:<{kind_width}}"
        inputs = [input_ if input_ in graph.nodes else f"{input_} (unknown)" for input_ in dict.fromkeys(node.inputs)]
        room = max(width - len(head) - 5, 20)
        for index, chunk in enumerate(_wrap(inputs, room) or [""]):
            if index == 0:
                lines.append(f"{head}   ← {chunk}" if chunk else head)
            else:
                lines.append(f"{below:<{across}} {'':<{len(head) - across - 1}}     {chunk}")
    return "\n".join(line.rstrip() for line in lines)


def as_svg(graph: Graph, states: Mapping[str, NodeState] | None = None, links: Mapping[str, str] | None = None) -> str:
    """Return the graph as one SVG element, left to right, in light or dark after the reader's setting.

    Parameters
    ----------
    states : NodeState by node name, optional; nodes then show a badge, their rows and their seconds
    links : URLs by node name, optional; a node then links to its URL
    """
    states, links = states or {}, links or {}
    height = 60.0 if states else 44.0
    drawing = lay_out(graph, {name: _width(node, states.get(name)) for name, node in graph.nodes.items()}, height)
    width, total = drawing.width + 2 * MARGIN, drawing.height + 2 * MARGIN
    parts = [
        f'<svg class="cg" xmlns="http://www.w3.org/2000/svg" viewBox="{-MARGIN:g} {-MARGIN:g} {width:g} {total:g}" '
        f'width="{width:g}" height="{total:g}" style="max-width:100%;min-width:{LEAST_SCALE * width:g}px;height:auto" role="img" aria-label="{_attribute(_alternative_text(graph))}">',
        f"<style>{_style(graph)}</style>",
        f"<title>{escape(_alternative_text(graph))}</title>",
    ]
    parts += [_edge(input_, reader, points) for (input_, reader), points in drawing.edges.items()]
    for name in graph.order():
        node = _node(graph.nodes[name], drawing.boxes[name], states.get(name))
        parts.append(f'<a href="{_attribute(links[name])}">{node}</a>' if name in links else node)
    return "\n".join([*parts, "</svg>"])


def _style(graph: Graph) -> str:
    """Return the style sheet: a colour for each label of a kind, on light and on dark paper."""
    foreign = {node.kind: UNKNOWN for node in graph.nodes.values() if node.kind not in styles()}
    colours = [(_variable(label), style) for label, style in {**styles(), **foreign}.items()]
    light = "".join(f"--{name}:{style.light};" for name, style in colours)
    dark = "".join(f"--{name}:{style.dark};" for name, style in colours)
    return _STYLE % {"light": light, "dark": dark}


def _variable(label: str) -> str:
    """Return a label as the name of a CSS variable."""
    return "".join(sign if sign.isalnum() else "-" for sign in label)


def _figures(state: NodeState | None) -> str:
    """Return a node's rows and seconds as its box shows them.

    Examples
    --------
    >>> _figures(NodeState("succeeded", 3.21, 66802)), _figures(NodeState("skipped", 0.0)), _figures(NodeState("succeeded", 75.0))
    ('66,802 rows · 3.2 s', 'nothing to do', '1 min 15 s')
    """
    if state is None:
        return ""
    if state.state in ("skipped", "waiting"):
        return {"skipped": "nothing to do", "waiting": "not started"}[state.state]
    parts = []
    if state.rows is not None:
        parts.append(f"{state.rows:,} row{'' if state.rows == 1 else 's'}")
    if state.seconds is not None:
        minutes, seconds = divmod(round(state.seconds), 60)
        parts.append(f"{minutes} min {seconds} s" if minutes else f"{state.seconds:.1f} s")
    return " · ".join(parts)


def _rails(graph: Graph) -> dict[str, tuple[str, str]]:
    """Return for each node, in order, the rails of its line and the rails that continue below it."""
    lanes: list[str | None] = []  # the node whose readers a lane leads to
    readers_left = {name: len(graph.readers(name)) for name in graph.nodes}
    rails: dict[str, tuple[str, str]] = {}
    for name in graph.order():
        inputs = [lanes.index(input_) for input_ in graph.inputs(name)]
        for input_name in graph.inputs(name):
            readers_left[input_name] -= 1
        ending = [lane for lane in inputs if readers_left[lanes[lane] or ""] == 0]
        free = [lane for lane, lane_node in enumerate(lanes) if lane_node is None]
        node_lane = min([*ending, *free], default=len(lanes))
        if node_lane == len(lanes):
            lanes.append(None)
        row = _rail_row(lanes, inputs, ending, node_lane, styles().get(graph.nodes[name].kind, UNKNOWN).glyph)
        for lane in ending:
            lanes[lane] = None
        lanes[node_lane] = name if readers_left[name] else None
        while lanes and lanes[-1] is None:
            lanes.pop()
        rails[name] = (row, "".join("│ " if lane else "  " for lane in lanes).rstrip())
    return rails


def _rail_row(lanes: Sequence[str | None], inputs: Sequence[int], ending: Sequence[int], node_lane: int, glyph: str) -> str:
    first, last = min([node_lane, *inputs]), max([node_lane, *inputs])
    row = ""
    for lane, lane_node in enumerate(lanes):
        right = "─" if first <= lane < last else " "
        if lane == node_lane:
            mark = glyph
        elif lane in inputs:
            # The sign shows where the rail continues: to the left, to the right, and below unless this is its last reader.
            up_only = lane in ending
            mark = (
                {(True, True): "┴", (True, False): "┘", (False, True): "└"}[first < lane, lane < last]
                if up_only
                else ({(True, True): "┼", (True, False): "┤", (False, True): "├"}[first < lane, lane < last])
            )
        else:
            mark = "│" if lane_node else ("─" if first < lane < last else " ")
        row += mark + right
    return row.rstrip()


def _wrap(words: Sequence[str], room: int) -> list[str]:
    lines: list[str] = []
    for index, word in enumerate(words):
        piece = word + ("," if index < len(words) - 1 else "")
        if lines and len(lines[-1]) + 1 + len(piece) <= room:
            lines[-1] += " " + piece
        else:
            lines.append(piece)
    return lines


def _edge(input_: str, reader: str, points: Sequence[tuple[float, float]]) -> str:
    """Return a curve through the points, level at each, that ends in an arrow."""
    (x, y), *rest = points
    path = f"M{x:g} {y:g}"
    for index, (to_x, to_y) in enumerate(rest):
        stop = to_x - 5 if index == len(rest) - 1 else to_x
        middle = (x + stop) / 2
        path += f"L{stop:g} {to_y:g}" if to_y == y else f"C{middle:g} {y:g} {middle:g} {to_y:g} {stop:g} {to_y:g}"
        x, y = to_x, to_y
    tip = f"M{x - 7:g} {y - 4:g}L{x:g} {y:g}L{x - 7:g} {y + 4:g}Z"
    title = escape(f"{input_} → {reader}")
    return f'<g><title>{title}</title><path class="edge" d="{path}"/><path class="tip" d="{tip}"/></g>'


def _node(node: GraphNode, box: Box, state: NodeState | None) -> str:
    title_lines = [f"{node.name} ({node.kind})", *((node.description or "").strip().splitlines()[:1])]
    if state is not None:
        title_lines.append(", ".join(part for part in (state.state, _figures(state)) if part))
        title_lines += [state.note] if state.note else []
    title_lines += [f"declared in {node.where}"] if node.where else []
    idle = " idle" if state is not None and state.state in ("skipped", "waiting") else ""
    colour = "failed" if state is not None and state.state == "failed" else _variable(node.kind)
    x, y = box.x, box.y
    parts = [
        f'<g class="node{idle}"><title>{escape(chr(10).join(title_lines))}</title>',
        f'<rect x="{x:g}" y="{y:g}" width="{box.width:g}" height="{box.height:g}" rx="8" style="stroke:var(--{colour})"/>',
        f'<path class="side" d="M{x + 4:g} {y + 10:g}V{y + box.height - 10:g}" style="stroke:var(--{_variable(node.kind)})"/>',
        f'<text class="small" x="{x + 14:g}" y="{y + 17:g}" style="fill:var(--{_variable(node.kind)})">{escape(node.kind)}</text>',
        f'<text class="name" x="{x + 14:g}" y="{y + 34:g}">{escape(_short(node.name))}</text>',
    ]
    if state is not None:
        parts.append(f'<text class="small" x="{x + 14:g}" y="{y + 51:g}">{escape(_figures(state))}</text>')
        cx, cy = x + box.width - 14, y + 14
        parts.append(
            f'<circle cx="{cx:g}" cy="{cy:g}" r="7.5" style="fill:var(--{state.state if state.state in STATES else "skipped"})"/>'
        )
        parts.append(f'<text class="badge" x="{cx:g}" y="{cy + 4:g}">{STATES.get(state.state, "?")}</text>')
    return "".join([*parts, "</g>"])


def _width(node: GraphNode, state: NodeState | None) -> float:
    kind = len(node.kind) * SMALL + (22 if state else 0)
    return round(14 + max(len(_short(node.name)) * CHARACTER, kind, len(_figures(state)) * SMALL) + 14, 1)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


def _alternative_text(graph: Graph) -> str:
    """Return the text alternative of the drawing for screen readers."""
    counts: dict[str, int] = {}
    for node in graph.nodes.values():
        counts[node.kind] = counts.get(node.kind, 0) + 1
    return "Graph of the product: " + ", ".join(f"{count} × {kind}" for kind, count in counts.items())


def _attribute(text: str) -> str:
    return escape(text, {'"': "&quot;"})
