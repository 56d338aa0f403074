"""What a run leaves to be looked at: its JSON document, its HTML page, its lines on the terminal."""
