"""Raw data in: what has arrived (no engine needed), and how it is read into typed frames."""

from caudal.stages.ingest.arrival import Arrival, Engine, Seen, arrivals, fetches, kinds
from caudal.stages.ingest.explain import explain
from caudal.stages.ingest.let_in import LetIn, Outgrown
from caudal.stages.ingest.raw import RawFile
from caudal.stages.ingest.read import Read, read

__all__ = ["Arrival", "Engine", "LetIn", "Outgrown", "RawFile", "Read", "Seen", "arrivals", "explain", "fetches", "kinds", "read"]
