"""Models of H2O in its portable form (MOJO), predicted with in NumPy: neither Java nor H2O is needed."""

from caudal.mojo.model import MojoModel, read_mojo

__all__ = ["MojoModel", "read_mojo"]
