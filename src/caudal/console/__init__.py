"""The console: pages that show running streams and runs (the only importer of dash)."""

from caudal.extras import require

require("dash", extra="console", for_="caudal console")  # before any module of this package: all of them import dash

from caudal.console.app import create_console  # noqa: E402
from caudal.console.server import console  # noqa: E402

__all__ = ["console", "create_console"]
