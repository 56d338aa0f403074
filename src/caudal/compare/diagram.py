"""The parts of an architecture, and the lines between them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from caudal.report.documents.comparison import Diagram, DiagramEdge, DiagramNode

_STORE = "home"
_UNITS = {"k": 10, "m": 20, "g": 30, "t": 40}


def node(
    kind: str, label: str, *, name: str | None = None, host: str | None = None, cores: int | None = None, memory: int | None = None, count: int = 1
) -> DiagramNode:  # fmt: skip
    """Return a part; its id is its kind unless it has a name."""
    return {"id": name or kind, "kind": kind, "label": label, "host": host, "cores": cores, "memory_bytes": memory, "count": count}


def edge(source: str, target: str, label: str) -> DiagramEdge:
    """Return a line between two parts."""
    return {"source": source, "target": target, "label": label}


def architecture(nodes: list[DiagramNode], edges: list[DiagramEdge], computing: str = "driver") -> Diagram:
    """Return an architecture, with the store that ``computing`` reads and writes."""
    store = node("store", "tables and raw files", name=_STORE)
    return {"nodes": [*nodes, store], "edges": [*edges, edge(computing, _STORE, "reads and writes")]}


def with_executors(diagram: Diagram, executors: Mapping[str, Mapping[str, Any]], memory: str | None) -> Diagram:
    """Return an architecture with the executors that an event log names in the place of those that were declared."""
    apart = {name: each for name, each in executors.items() if name != "driver"}
    if not apart:
        return diagram
    nodes = [each for each in diagram["nodes"] if each["kind"] != "executor"]
    gone = {each["id"] for each in diagram["nodes"] if each["kind"] == "executor"}
    edges = [each for each in diagram["edges"] if not {each["source"], each["target"]} & gone]
    for name, each in apart.items():
        nodes.append(
            node(
                "executor",
                f"executor {name}",
                name=f"executor-{name}",
                host=each["host"],
                cores=each["cores"],
                memory=in_bytes(memory),
            )
        )
        edges += [edge("driver", f"executor-{name}", "tasks"), edge(f"executor-{name}", _STORE, "reads and writes")]
    return {"nodes": nodes, "edges": edges}


def in_bytes(memory: str | None) -> int | None:
    """Return a size of Java, such as ``512m``, in bytes.

    Examples
    --------
    >>> in_bytes("512m")
    536870912
    """
    if not memory:
        return None
    text = memory.lower().removesuffix("b")
    unit = _UNITS.get(text[-1:])
    digits = text[:-1] if unit is not None else text
    return int(digits) << (unit or 0) if digits.isdigit() else None
