"""Work that a person does elsewhere: what is sent along, and how its results come home."""
