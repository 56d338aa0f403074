"""How long an event log takes to be read, and in how much memory."""
