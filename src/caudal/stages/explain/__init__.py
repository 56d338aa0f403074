"""Explanations: which inputs matter to a model, how its prediction changes with them, and what each contributed to a prediction."""
