"""Streams as they run, drawn in the browser (sole importer of dash)."""

from caudal.serve.console.app import create_console
from caudal.serve.console.server import console

__all__ = ["console", "create_console"]
