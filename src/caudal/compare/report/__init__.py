"""What a reader gets of a comparison: HTML of one file and PDF, in several languages."""
