"""What is remembered: raw bytes, tables, quarantine, the ledger."""
