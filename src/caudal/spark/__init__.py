"""Spark sessions, the Java below them and the connectors beside them: the only room that starts Spark."""

from __future__ import annotations

from caudal.spark.java import JavaHome, java_home
from caudal.spark.measures import Measures, measure
from caudal.spark.session import is_running, session, stop

__all__ = ["JavaHome", "Measures", "is_running", "java_home", "measure", "session", "stop"]
