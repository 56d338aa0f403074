"""Changes of the ledger's tables, in order; see ``CONTRIBUTING.md`` for a new one."""
