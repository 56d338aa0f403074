"""What a user declares: frozen, and free of any engine."""
