"""Overhead over hand-written PySpark."""
