"""Data frames of messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyspark.sql.connect.proto as pb


def frame_of_relation(session: Any, relation: pb.Relation) -> Any:
    """Return a data frame whose plan is a message."""
    from pyspark.sql.connect.dataframe import DataFrame
    from pyspark.sql.connect.plan import LogicalPlan

    class Sent(LogicalPlan):
        """A plan that is a message already."""

        def plan(self, session: Any) -> pb.Relation:  # noqa: ARG002
            return relation

    return DataFrame(Sent(None), session)
