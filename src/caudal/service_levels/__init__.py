"""Service levels: which minutes count, level, error budget and burn rate, from figures in the ledger."""
