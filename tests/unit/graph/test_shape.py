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
