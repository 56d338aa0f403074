"""The graph as plain data: order, what lies before and behind a node, circles."""

from __future__ import annotations

import pytest

from caudal.errors import DeclarationProblem, NotThere
from caudal.graph.shape import Graph, GraphNode


def graph_of(**inputs: str) -> Graph:
    return Graph({name: GraphNode(name, "table" if read else "source", tuple(read.split())) for name, read in inputs.items()})


def test_order_puts_inputs_first_and_keeps_the_declared_order_otherwise() -> None:
    graph = graph_of(c="a b", b="", a="", d="c")
    assert graph.order() == ("b", "a", "c", "d")


def test_upstream_and_downstream_reach_through() -> None:
    graph = graph_of(raw="", zones="", trips="raw zones", hour="trips", other="zones")
    assert graph.upstream("hour") == ("raw", "zones", "trips")
    assert graph.downstream("zones") == ("trips", "hour", "other")
    assert graph.downstream("hour") == ()


def test_an_unknown_input_is_no_node_and_does_not_stop_the_order() -> None:
    graph = graph_of(trips="raw nowhere", raw="")
    assert graph.inputs("trips") == ("raw",)
    assert graph.order() == ("raw", "trips")


def test_a_circle_is_named() -> None:
    with pytest.raises(DeclarationProblem) as found:
        graph_of(start="", a="start c", b="a", c="b").order()
    assert "a ← c ← b ← a" in str(found.value)


def test_a_node_that_reads_itself_is_a_circle() -> None:
    with pytest.raises(DeclarationProblem, match="a ← a"):
        graph_of(a="a").order()


def test_a_name_that_is_not_there_gets_the_nearest() -> None:
    with pytest.raises(NotThere, match="Did you mean 'trips'"):
        graph_of(trips="").upstream("trip")


def test_what_expectations_ask_comes_before_and_is_no_input() -> None:
    graph = Graph({
        "raw": GraphNode("raw", "source"),
        "trips": GraphNode("trips", "table", ("raw",), needs=("raw", "zones")),
        "zones": GraphNode("zones", "source"),
        "hour": GraphNode("hour", "table", ("trips",), needs=("trips",)),
        "other": GraphNode("other", "table", ("raw",), needs=("raw",)),
    })  # fmt: skip
    assert graph.order() == ("raw", "zones", "trips", "hour", "other")
    assert graph.upstream("hour") == ("raw", "trips")
    assert graph.needed(["hour"]) == ("raw", "zones", "trips", "hour")


def test_a_circle_through_an_expectation_is_named_as_one() -> None:
    graph = Graph({"a": GraphNode("a", "table", needs=("b",)), "b": GraphNode("b", "table", ("a",), needs=("a",))})
    (problem,) = graph.cycles()
    assert "a ← b ← a" in problem.what
    assert problem.fix == "Take 'b' out of the expectations of 'a'."


def test_ten_thousand_nodes_are_ordered_at_once() -> None:
    graph = Graph({f"t{n}": GraphNode(f"t{n}", "table", (f"t{n + 1}",)) for n in range(10_000)})
    assert graph.order()[:2] == ("t9999", "t9998")
