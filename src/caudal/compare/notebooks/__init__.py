"""Work that a person has a notebook do elsewhere: what goes along, what does it there, and how its results come home."""
