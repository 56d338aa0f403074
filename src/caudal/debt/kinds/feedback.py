"""Cycles that the graph does not show: what leaves the product comes back as a source, and a model learns from its own predictions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from caudal.debt.finding import Debt, DebtKind, Finding
from caudal.debt.scope import DebtScope
from caudal.declarations.connection import Files, Folder, Kafka
from caudal.declarations.database import Database
from caudal.declarations.node import Source
from caudal.declarations.outlet import Drop, Topic
from caudal.declarations.warehouse import Publication


def find_debt(scope: DebtScope) -> Debt:
    """Return the sources by which rows come back that the product itself has made, with the way that they go.

    A way back is a source that reads a table where it lies in the lake, a published table of the warehouse, or the topic or folder of an outlet.
    """
    findings = []
    for written, source, how in ways_back(scope):
        path = _path(scope, source, written)
        if path is None:
            continue
        predicted = [name for name in path if name in scope.product.predictions]
        models = {scope.product.predictions[name].model for name in predicted}
        learners = [model for model in path if model in models]
        consequence = (
            f"model '{learners[0]}' learns from its own predictions"
            if learners
            else "rows that the product has made are taken for new ones"
        )
        findings.append(
            Finding(
                source,
                f"Source '{source}' reads {how}, so {consequence}: {' → '.join([*path, source])}.",
                "Keep some rows out of the predictions' reach to learn from, or learn from labels that do not depend on them; and mark rows that the product has influenced.",
                scope.where(source),
                (source,),
            )
        )
    why = "sources that read the lake are known only from a home" if scope.home is None else None
    return Debt(findings, not_measured=why)


def ways_back(scope: DebtScope) -> Iterator[tuple[str, str, str]]:
    """Yield table or prediction, source, and how the source gets the table's rows."""
    product = scope.product
    for table, sources in scope.read_elsewhere.items():
        for owner, reader in sources:
            if owner == product.name:
                yield table, reader, f"the table '{table}' where it lies in the lake"
    for source in product.sources.values():
        for publication in product.publications.values():
            if isinstance(publication, Publication) and _is_read(publication, source):
                yield publication.of, source.name, f"'{publication.place}', to which '{publication.of}' is published"
        for outlet in product.outlets.values():
            if _comes_back(outlet.to, source):
                yield outlet.of, source.name, f"what the outlet '{outlet.name}' sends"


def _is_read(publication: Publication, source: Source) -> bool:
    connection = source.connection
    if not isinstance(connection, Database) or connection.table is None:
        return False
    address = publication.to.address
    same_place = connection.table in (publication.place, publication.name if publication.schema == "public" else publication.place)
    return same_place and (address is None or address == connection.address)


def _comes_back(to: object, source: Source) -> bool:
    connection = source.connection
    if isinstance(to, Topic):
        return isinstance(connection, Kafka) and connection.topic == to.topic and connection.servers == to.servers
    if isinstance(to, Drop) and isinstance(connection, Files | Folder):
        return connection.pattern.startswith(f"{to.folder.rstrip('/')}/")
    return False


def _path(scope: DebtScope, source: str, written: str) -> list[str] | None:
    """Return a way from a source to what is written from it, by declared inputs alone; None where there is none."""
    models = scope.product.models
    after: Mapping[str, list[str]] = defaultdict(
        list,  # a prediction is reached by its model, and not by the features that it reads too
        {
            name: [reader.name for reader in readers if reader.kind != "prediction" or name in models]
            for name, readers in scope.readers.items()
        },
    )
    ways, visited = [[source]], {source}
    while ways:
        way = ways.pop(0)
        if way[-1] == written:
            return way
        following = [name for name in after[way[-1]] if name not in visited]
        visited |= set(following)
        ways += [[*way, name] for name in following]
    return None


DEBT = DebtKind("feedback", "Feedback", find_debt)
ORDER = 100
