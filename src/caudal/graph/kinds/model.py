"""A model: trained on features, promoted by its gates."""

from __future__ import annotations

from collections.abc import Iterator

from caudal.declarations.model import Model
from caudal.declarations.product import Product
from caudal.errors import DeclarationProblem
from caudal.graph.check_models import problems_of_model
from caudal.graph.node_kind import NodeKind, StepKind, Style

TRAIN = StepKind("train", writes="model", section="models", verb="TRAIN", in_backfill=False)
PROMOTE = StepKind(
    "promote", writes="decision", section="models", in_backfill=False, fingerprinted=False, when_unchanged="a version was to be decided on",
)  # fmt: skip


class ModelKind(NodeKind[Model]):
    """Training of the candidates, and the decision on the chosen one; a backfill does not train."""

    name = "model"
    label = "model"
    declaration = Model
    rank = 60
    style = Style("▲", "#8b4a9c", "#cf94df")
    steps = (TRAIN, PROMOTE)
    pipelines = frozenset({"all", "train"})

    def identity(self, declaration: Model) -> list[object]:
        """Return its label, features, candidates, gates and options; the usual rule of selection is left out, as models have it that declare none."""
        select = declaration.select
        rule = [] if select is None or select.kind == "best_mean" else [[select.kind, select]]
        return [
            "model", declaration.name, declaration.features, declaration.label, declaration.horizon_s, dict(declaration.candidates),
            declaration.split, declaration.metric, [[gate.kind, gate] for gate in declaration.gates], declaration.task,
            declaration.group_by, declaration.max_rows, declaration.seed, declaration.holdout,
            *rule,
        ]  # fmt: skip

    def problems(self, product: Product, declaration: Model) -> Iterator[DeclarationProblem]:
        """Yield metrics, gates, candidates and columns that do not exist."""
        yield from problems_of_model(product, declaration)


KIND = ModelKind()
