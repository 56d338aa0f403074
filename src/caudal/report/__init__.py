"""The report of a run: its JSON document, its HTML page and its lines on the terminal."""
