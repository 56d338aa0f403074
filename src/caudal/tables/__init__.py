"""Tables of a home: raw files as they landed, published versions, corrections, erasures."""
