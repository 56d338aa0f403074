"""All declarations of a product by name; no two of them have the same name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from caudal.declarations.alert import Alert, Sla
from caudal.declarations.custom import CustomNode
from caudal.declarations.detector import Detection
from caudal.declarations.location import Location
from caudal.declarations.model import Model, Prediction, Serving
from caudal.declarations.node import Node, Source, Table
from caudal.declarations.outlet import Outlet
from caudal.declarations.trigger import Trigger
from caudal.errors import DeclarationProblem

if TYPE_CHECKING:
    from caudal.declarations.audit import Audit
    from caudal.declarations.governance import About, Consumer, Retention, Subject
    from caudal.declarations.lookup import OnlineLookup
    from caudal.declarations.monitor import Monitor
    from caudal.declarations.service_levels import Agreement
    from caudal.declarations.star import Star
    from caudal.declarations.warehouse import Publication

Function = Callable[..., object]


class Declared:
    """The declarations of a product, empty at first."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.nodes: dict[str, Node] = {}
        self.models: dict[str, Model] = {}
        self.predictions: dict[str, Prediction] = {}
        self.servings: dict[str, Serving] = {}
        self.lookups: dict[str, OnlineLookup] = {}
        self.audits: dict[str, Audit] = {}
        self.detections: dict[str, Detection] = {}
        self.outlets: dict[str, Outlet] = {}
        self.publications: dict[str, Publication | Star] = {}
        self.custom: dict[str, CustomNode] = {}
        self.monitors: dict[str, Monitor] = {}
        self.schedules: list[Trigger] = []
        self.alerts: list[Alert] = []
        self.slas: list[Sla] = []
        self.agreements: list[Agreement] = []
        self.abouts: dict[str, dict[str, About]] = {}
        self.retentions: list[Retention] = []
        self.subjects: list[Subject] = []
        self.consumers: list[Consumer] = []

    @property
    def declarations_by_kind(self) -> tuple[Mapping[str, object], ...]:
        """The mappings of name to declaration, one for each kind: tables first, then what is built from them."""
        return (
            self.nodes, self.models, self.audits, self.predictions, self.servings, self.lookups, self.detections, self.outlets,
            self.publications, self.custom,
            self.monitors,
        )  # fmt: skip

    def _add_node(self, node: Node) -> None:
        self._check_name_is_free(node.name, node.where)
        self.nodes[node.name] = node

    def _check_name_is_free(self, name: str, where: Location | None) -> None:
        for declarations in (self.nodes, self.models, self.predictions, self.detections, self.outlets, self.custom):
            if name in declarations:
                raise DeclarationProblem(
                    f"Product '{self.name}' declares '{name}' twice, first in {declarations[name].where}.",
                    fix="Rename one of them.",
                    where=str(where),
                )
        if not name.isidentifier():
            raise DeclarationProblem(f"'{name}' cannot name a table.", fix="Use letters, digits and _.", where=str(where))


def name_of(node: Function | str | Node) -> str:
    """Return the name of a node, or of the function that declares one."""
    if isinstance(node, str):
        return node
    return node.name if isinstance(node, Source | Table) else node.__name__


def names_of(names: str | Sequence[str]) -> tuple[str, ...]:
    """Return one or several names as a tuple."""
    return (names,) if isinstance(names, str) else tuple(names)
