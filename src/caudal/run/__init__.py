"""The rooms joined: declarations become steps, steps become a run."""
