"""Ingest raw data: find the files that have arrived (without an engine, here), and read them into typed frames (``read``)."""

from caudal.stages.ingest.arrival import Arrival, Engine, KnownFile, arrivals, fetched_kinds, fetches
from caudal.stages.ingest.raw import RawFile

__all__ = ["Arrival", "Engine", "KnownFile", "RawFile", "arrivals", "fetched_kinds", "fetches"]
