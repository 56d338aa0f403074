"""Running streams, drawn in the browser (sole importer of dash)."""

from caudal.console.app import create_console
from caudal.console.server import console

__all__ = ["console", "create_console"]
