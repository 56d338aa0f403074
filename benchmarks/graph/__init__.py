"""What a graph of a thousand steps costs before any of them does anything."""
