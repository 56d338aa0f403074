"""Layered graph layout: longest-path layers, order by barycentre, heights by least squares.

After Sugiyama, Tagawa and Toda, "Methods for visual understanding of hierarchical system structures", IEEE SMC 11(2), 1981.
Every step breaks ties by order of declaration, so that the same graph always gives the same drawing.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from caudal.graph.shape import Graph

# An edge that spans layers passes through a bend in each: (from, to, layer).
Bend = tuple[str, str, int]
Spot = str | Bend

SWEEPS = 12
LAYER_GAP = 56.0
BOX_GAP = 18.0
BEND_GAP = 10.0


@dataclass(frozen=True)
class Box:
    """A node's rectangle in drawing units: left, top, width, height."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Layout:
    """Boxes by node, edges as the points that they pass through, and the size of the drawing."""

    boxes: Mapping[str, Box]
    edges: Mapping[tuple[str, str], tuple[tuple[float, float], ...]]
    width: float
    height: float


def lay_out(graph: Graph, widths: Mapping[str, float], height: float) -> Layout:
    """Return a left-to-right drawing of boxes of given widths and one height, none of which overlap."""
    layer_of = layers(graph)
    columns, links = _columns(graph, layer_of)
    _untangle(columns, links)
    centre = _heights(columns, links, height)
    top = min((centre[spot] - height / 2 for spot in centre if isinstance(spot, str)), default=0.0)
    low = min((centre[spot] for spot in centre if not isinstance(spot, str)), default=top) - BEND_GAP
    shift = -min(top, low) if centre else 0.0
    column_x, column_width = [], []
    x = 0.0
    for column in columns:
        width = max((widths[spot] for spot in column if isinstance(spot, str)), default=0.0)
        column_x.append(x)
        column_width.append(width)
        x += width + LAYER_GAP
    boxes = {
        # A column's boxes share its width: edges then start and end on straight lines.
        name: Box(column_x[layer_of[name]], round(centre[name] + shift - height / 2, 1), column_width[layer_of[name]], height)
        for name in graph.nodes
    }
    edges = {}
    for reader in graph.nodes:
        for input_ in graph.inputs(reader):
            points = [(boxes[input_].x + boxes[input_].width, boxes[input_].y + height / 2)]
            for layer in range(layer_of[input_] + 1, layer_of[reader]):
                y = round(centre[(input_, reader, layer)] + shift, 1)
                points += [(column_x[layer], y), (column_x[layer] + column_width[layer], y)]
            points.append((boxes[reader].x, boxes[reader].y + height / 2))
            edges[input_, reader] = tuple(points)
    lowest = max(
        [*(box.y + height for box in boxes.values()), *(y + BEND_GAP for points in edges.values() for _, y in points)],
        default=0.0,
    )
    return Layout(boxes, edges, max(x - LAYER_GAP, 0.0), lowest)


def layers(graph: Graph) -> dict[str, int]:
    """Return each node's layer: one more than the highest of its inputs'.

    Examples
    --------
    >>> from caudal.graph.shape import GraphNode
    >>> layers(Graph({"a": GraphNode("a", "source"), "b": GraphNode("b", "table", ("a",))}))
    {'a': 0, 'b': 1}
    """
    layer_of: dict[str, int] = {}
    for name in graph.order():
        layer_of[name] = 1 + max((layer_of[input_] for input_ in graph.inputs(name)), default=-1)
    return layer_of


def _columns(graph: Graph, layer_of: Mapping[str, int]) -> tuple[list[list[Spot]], dict[Spot, list[Spot]]]:
    """Return the nodes and bends of each layer, and for each of them its neighbours in the layer before."""
    columns: list[list[Spot]] = [[] for _ in range(max(layer_of.values(), default=-1) + 1)]
    links: dict[Spot, list[Spot]] = {}
    for name in graph.order():
        columns[layer_of[name]].append(name)
        links[name] = []
    for reader in graph.order():
        for input_ in graph.inputs(reader):
            before: Spot = input_
            for layer in range(layer_of[input_] + 1, layer_of[reader]):
                bend = (input_, reader, layer)
                columns[layer].append(bend)
                links[bend] = [before]
                before = bend
            links[reader].append(before)
    return columns, links


def _untangle(columns: list[list[Spot]], links: Mapping[Spot, Sequence[Spot]]) -> None:
    """Order each layer by the mean place of its neighbours, back and forth; keep the order with the fewest crossings."""
    forward = _reversed(links)
    best, fewest = [list(column) for column in columns], _crossings(columns, links)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        neighbours = links if down else forward
        for at in range(1, len(columns)) if down else range(len(columns) - 2, -1, -1):
            other = columns[at - 1 if down else at + 1]
            place = {spot: float(index) for index, spot in enumerate(other)}
            current_place = {spot: float(index) for index, spot in enumerate(columns[at])}
            columns[at].sort(key=lambda spot: _mean([place[neighbour] for neighbour in neighbours[spot]], current_place[spot]))
        if (crossings := _crossings(columns, links)) < fewest:
            best, fewest = [list(column) for column in columns], crossings
    columns[:] = best


def _crossings(columns: Sequence[Sequence[Spot]], links: Mapping[Spot, Sequence[Spot]]) -> int:
    count = 0
    for left, right in itertools.pairwise(columns):
        place = {spot: index for index, spot in enumerate(left)}
        ends = [place[link] for spot in right for link in sorted(links[spot], key=place.__getitem__)]
        starts = [index for index, spot in enumerate(right) for _ in links[spot]]
        count += sum(1 for i in range(len(ends)) for j in range(i) if starts[j] < starts[i] and ends[j] > ends[i])
    return count


def _heights(columns: Sequence[Sequence[Spot]], links: Mapping[Spot, Sequence[Spot]], height: float) -> dict[Spot, float]:
    """Return the centre height of every spot: as near to its neighbours as the order and the gaps allow."""
    forward = _reversed(links)
    centre: dict[Spot, float] = {}
    for column in columns:
        offsets = _offsets(column, height)
        centre |= {spot: offset - offsets[-1] / 2 for spot, offset in zip(column, offsets, strict=True)}
    for sweep in range(2 * SWEEPS):
        for column in columns if sweep % 2 == 0 else reversed(columns):
            # Neighbours on both sides count; bends count twice, since a long edge reads best when it is straight.
            targets = []
            for spot in column:
                around = [*links[spot], *forward[spot]]
                targets.append(
                    _mean(
                        [centre[neighbour] for neighbour in around for _ in range(1 if isinstance(neighbour, str) else 2)],
                        centre[spot],
                    )
                )
            centre |= dict(zip(column, _spread(targets, _offsets(column, height)), strict=True))
    return centre


def _offsets(column: Sequence[Spot], height: float) -> list[float]:
    """Return each spot's height below the first when all are packed as closely as the gaps allow."""
    offsets: list[float] = []
    for index, spot in enumerate(column):
        if index == 0:
            offsets.append(0.0)
            continue
        halves = sum(height / 2 if isinstance(adjacent, str) else BEND_GAP / 2 for adjacent in (column[index - 1], spot))
        offsets.append(offsets[-1] + halves + (BOX_GAP if isinstance(spot, str) or isinstance(column[index - 1], str) else 0.0))
    return offsets


def _spread(targets: Sequence[float], offsets: Sequence[float]) -> list[float]:
    """Return the heights nearest to the targets that keep order and gaps: pooled adjacent violators on ``target - offset``."""
    pools: list[tuple[float, int]] = []
    for target, offset in zip(targets, offsets, strict=True):
        pools.append((target - offset, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (later, m), (earlier, n) = pools.pop(), pools.pop()
            pools.append(((earlier * n + later * m) / (n + m), n + m))
    level = [value for value, size in pools for _ in range(size)]
    return [value + offset for value, offset in zip(level, offsets, strict=True)]


def _reversed(links: Mapping[Spot, Sequence[Spot]]) -> dict[Spot, list[Spot]]:
    reversed_links: dict[Spot, list[Spot]] = {spot: [] for spot in links}
    for spot, before in links.items():
        for neighbour in before:
            reversed_links[neighbour].append(spot)
    return reversed_links


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
