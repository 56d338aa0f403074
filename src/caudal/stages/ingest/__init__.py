"""Ingest raw data: find the files that have arrived (without an engine), and read them into typed frames."""

from caudal.stages.ingest.added_columns import AddedColumn, Outgrown
from caudal.stages.ingest.arrival import Arrival, Engine, KnownFile, arrivals, fetches, kinds
from caudal.stages.ingest.explain import explain
from caudal.stages.ingest.raw import RawFile
from caudal.stages.ingest.read import ReadResult, read

__all__ = [
    "AddedColumn",
    "Arrival",
    "Engine",
    "KnownFile",
    "Outgrown",
    "RawFile",
    "ReadResult",
    "arrivals",
    "explain",
    "fetches",
    "kinds",
    "read",
]
