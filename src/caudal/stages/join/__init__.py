"""Join streams: match rows in memory as they arrive, and over all captured rows."""

from caudal.stages.join.pairs import first_of_keys, has_match, is_known, join_pairs, moments_in_micros, new_rows, pairs, unmatched

__all__ = ["first_of_keys", "has_match", "is_known", "join_pairs", "moments_in_micros", "new_rows", "pairs", "unmatched"]
