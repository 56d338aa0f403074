"""How long a message takes from a topic to the tables of ``caudal stream``."""
