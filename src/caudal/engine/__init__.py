"""Spark sessions, Java and connectors: the only package that starts Spark."""

from __future__ import annotations

from caudal.engine.java import JavaHome, java_home
from caudal.engine.measures import Measures, measure_jobs
from caudal.engine.session import is_running, session, stop

__all__ = ["JavaHome", "Measures", "is_running", "java_home", "measure_jobs", "session", "stop"]
