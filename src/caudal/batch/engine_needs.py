"""What a step needs of an engine, as far as the declaration tells."""

from __future__ import annotations

from collections.abc import Iterator

from caudal.declarations.database import Database, connector
from caudal.declarations.node import Source
from caudal.declarations.product import Product
from caudal.engine.capability import Capability
from caudal.graph.kinds.source import LAND, READ
from caudal.graph.node_kind import REGISTER
from caudal.kinds import FORMATS
from caudal.stages.ingest.needs import formats
from caudal.storage.place import Place, Remote

Need = tuple[Capability, str]


def needs(product: Product, lake: Place, kind: str, subject: str) -> Iterator[Need]:
    """Yield what a step needs, with what needs it as the subject of a sentence."""
    if kind == REGISTER.name:
        yield Capability.CONNECTORS, "The metastore"
        return
    if isinstance(lake, Remote):
        yield Capability.HADOOP_SETTINGS, f"The lake {lake.root}"
    else:
        yield Capability.LOCAL_FILES, "A lake on this machine"
    node = product.nodes.get(subject)
    model = product.models.get(subject)
    if model is not None and any(map(_is_spark_ml, model.candidates.values())):
        yield Capability.SPARK_ML, f"A candidate of model '{subject}'"
    if isinstance(node, Source):
        if isinstance(node.connection, Database) and kind == LAND.name and connector(node.connection) is not None:
            yield Capability.CONNECTORS, f"The database of source '{subject}'"
        possible = formats(node.connection)
        if kind == READ.name and possible and all(hasattr(FORMATS[format], "CONNECTOR") for format in possible):
            yield Capability.CONNECTORS, f"The format of source '{subject}'"


def _is_spark_ml(candidate: object) -> bool:
    return any(kind.__module__.startswith("pyspark.ml.") for kind in type(candidate).__mro__)
