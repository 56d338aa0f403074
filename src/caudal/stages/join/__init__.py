"""Joins of streams: which rows belong together, in memory as they come, and over all that is captured."""

from caudal.stages.join.pairs import alone, among, first, fresh, has_match, joined, micros, pairs

__all__ = ["alone", "among", "first", "fresh", "has_match", "joined", "micros", "pairs"]
