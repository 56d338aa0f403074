"""The drawings: every node once, every edge, nothing on top of anything else, the same graph always the same drawing."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings, strategies as st

from caudal.graph.draw import as_svg, as_text
from caudal.graph.layout import lay_out, layers
from caudal.graph.shape import Graph, GraphNode, NodeState

SVG = "{http://www.w3.org/2000/svg}"
EM = 0.604  # width of a character of the widest usual monospace face, in font sizes


def node(name: str, kind: str, *inputs: str) -> GraphNode:
    return GraphNode(name, kind, inputs, f"About {name}.", f"product.py:{len(name)}")


@pytest.fixture
def taxi() -> Graph:
    nodes = [
        node("trips_raw", "source"),
        node("zones", "source"),
        node("weather_raw", "source"),
        node("trips", "table", "trips_raw", "zones"),
        node("weather", "table", "weather_raw"),
        node("pickups_quarter_hour", "table", "trips"),
        node("pickups_hour", "table", "trips"),
        node("pickups_day", "table", "pickups_hour"),
        node("revenue", "table", "trips", "zones"),
        node("demand", "features", "pickups_quarter_hour", "weather"),
        node("trip_features", "features", "trips", "zones", "weather"),
        node("forecast", "model", "demand"),
        node("duration", "model", "trip_features"),
        node("forecast_predictions", "prediction", "forecast", "demand"),
        node("serve:duration", "serving", "duration"),
    ]
    return Graph({one.name: one for one in nodes})


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    count = draw(st.integers(1, 14))
    nodes = {}
    for index in range(count):
        read = draw(st.sets(st.integers(0, index - 1), max_size=4)) if index else set()
        name = f"n{index}" + "x" * draw(st.integers(0, 40))
        nodes[name] = GraphNode(name, "table" if read else "source", tuple(list(nodes)[one] for one in sorted(read)))
    return Graph(nodes)


def boxes_of(svg: str) -> list[tuple[float, float, float, float]]:
    rects = ET.fromstring(svg).iter(f"{SVG}rect")
    return [
        (float(one.get("x", 0)), float(one.get("y", 0)), float(one.get("width", 0)), float(one.get("height", 0))) for one in rects
    ]


def test_text_leads_from_inputs_to_readers() -> None:
    nodes = [
        node("trips_raw", "source"),
        node("zones", "source"),
        node("trips", "table", "trips_raw", "zones"),
        node("hour", "table", "trips"),
        node("day", "table", "trips"),
    ]
    drawn = as_text(Graph({one.name: one for one in nodes}))
    assert drawn.splitlines() == [
        "●   trips_raw   source",
        "│ ● zones       source",
        "■─┘ trips       table    ← trips_raw, zones",
        "├─■ hour        table    ← trips",
        "■   day         table    ← trips",
    ]


def test_text_fits_into_100_columns_and_names_every_node_once(taxi: Graph) -> None:
    lines = as_text(taxi).splitlines()
    assert max(map(len, lines)) <= 100
    named = [name for line in lines for name in taxi.nodes if re.search(rf"[ ─]{re.escape(name)} ", line.split("←")[0])]
    assert sorted(named) == sorted(taxi.nodes)


def test_text_folds_long_lists_of_inputs() -> None:
    many = [node(f"a_long_name_of_a_source_{index}", "source") for index in range(9)]
    drawn = as_text(Graph({one.name: one for one in [*many, node("all", "table", *(one.name for one in many))]}))
    assert all(len(line) <= 100 for line in drawn.splitlines())
    assert all(drawn.count(one.name) == 2 for one in many)


def test_text_says_which_input_is_unknown() -> None:
    assert "nowhere (unknown)" in as_text(Graph({"a": node("a", "table", "nowhere")}))


@given(graphs())
@settings(max_examples=60, deadline=None)
def test_text_rails_join_what_they_should(graph: Graph) -> None:
    """Each input of a node has a rail that reaches its row: the rail's mark there opens upwards."""
    lines = as_text(graph, width=10_000).splitlines()
    lane_of: dict[str, int] = {}
    across = max(line.index(name) for line, name in zip(lines, graph.order(), strict=True))
    for line, name in zip(lines, graph.order(), strict=True):
        rail = line[: across - 1]
        own = next(place for place, mark in enumerate(rail) if mark in "●■")
        for one in graph.inputs(name):
            assert rail[lane_of[one]] in "├┤┼└┘┴●■", (rail, one)
            between = rail[min(own, lane_of[one]) + 1 : max(own, lane_of[one])]
            assert " " not in between, (rail, one)
        lane_of[name] = own


def test_svg_is_well_formed_and_names_everything(taxi: Graph) -> None:
    root = ET.fromstring(as_svg(taxi))
    names = [one.text for one in root.iter(f"{SVG}text") if one.get("class") == "name"]
    assert sorted(map(str, names)) == sorted(taxi.nodes)
    edges = [one for one in root.iter(f"{SVG}path") if one.get("class") == "edge"]
    assert len(edges) == sum(len(taxi.inputs(name)) for name in taxi.nodes)
    assert root.get("role") == "img"
    assert "3 × source" in str(root.get("aria-label"))


def test_svg_is_the_same_for_the_same_graph(taxi: Graph) -> None:
    states = {"trips": NodeState("succeeded", 1.5, 10)}
    assert as_svg(taxi, states) == as_svg(Graph(dict(taxi.nodes)), dict(states))


@given(graphs(), st.booleans())
@settings(max_examples=60, deadline=None)
def test_no_box_lies_on_another_and_every_label_stays_in_its_box(graph: Graph, with_states: bool) -> None:
    states = {name: NodeState("succeeded", 83.2, 123_456_789_012) for name in graph.nodes} if with_states else None
    svg = as_svg(graph, states)
    for (x, y, width, height), (u, v, wide, high) in itertools.combinations(boxes_of(svg), 2):
        assert x + width <= u or u + wide <= x or y + height <= v or v + high <= y
    sizes = {"name": 13, "small": 11}
    for group in ET.fromstring(svg).iter(f"{SVG}g"):
        if "node" not in str(group.get("class")):
            continue
        rect = next(group.iter(f"{SVG}rect"))
        right = float(rect.get("x", 0)) + float(rect.get("width", 0))
        for text in group.iter(f"{SVG}text"):
            if text.get("class") in sizes:
                assert float(text.get("x", 0)) + len(str(text.text)) * EM * sizes[str(text.get("class"))] <= right - 4


@given(graphs())
@settings(max_examples=60, deadline=None)
def test_edges_go_forward_and_pass_no_box(graph: Graph) -> None:
    height = 60.0
    drawn = lay_out(graph, dict.fromkeys(graph.nodes, 120.0), height)
    depth = layers(graph)
    for (made, reader), points in drawn.edges.items():
        assert depth[made] < depth[reader]
        assert all(x < u for (x, _), (u, _) in itertools.pairwise(points))
        # Between its ends an edge crosses each layer on a level line, where no box may be.
        for (x, y), (u, _) in zip(points[1:-1:2], points[2:-1:2], strict=True):
            for box in drawn.boxes.values():
                assert not (box.x < u and x < box.x + box.width and box.y < y < box.y + box.height)


def test_everything_lies_inside_the_drawing(taxi: Graph) -> None:
    root = ET.fromstring(as_svg(taxi))
    left, top, width, height = map(float, str(root.get("viewBox")).split())
    for x, y, wide, high in boxes_of(as_svg(taxi)):
        assert left <= x
        assert top <= y
        assert x + wide <= left + width
        assert y + high <= top + height


def test_states_are_shown_by_sign_and_words_not_colour_alone(taxi: Graph) -> None:
    svg = as_svg(
        taxi,
        {"trips": NodeState("failed", 4.4, None, "1,204 rows have no match"), "zones": NodeState("skipped", note="no new file")},
    )
    assert "✗" in svg
    assert "1,204 rows have no match" in svg
    assert "nothing to do" in svg
    assert "no new file" in svg


def test_hostile_texts_stay_text() -> None:
    evil = "</title><script>alert(1)</script>\"'&"
    svg = as_svg(Graph({evil: GraphNode(evil, "source", (), evil, evil)}), {evil: NodeState("failed", note=evil)})
    assert "<script" not in svg
    assert evil in "".join(ET.fromstring(svg).itertext())


def test_an_empty_graph_draws_nothing() -> None:
    assert as_text(Graph({})) == ""
    assert boxes_of(as_svg(Graph({}))) == []
