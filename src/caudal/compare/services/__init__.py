"""Work that a service does: a parcel there, and a home back (docs/adr/0060)."""
