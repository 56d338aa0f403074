"""The sample product as a Kedro project."""
