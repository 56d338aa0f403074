"""The console: pages that show running streams and runs (the only importer of dash)."""

from caudal.extras import require

require("dash", extra="console", for_="caudal console")  # before any module of this package: all of them import dash

from caudal.console.app import create_console  # noqa: E402
from caudal.console.server import serve_console  # noqa: E402

__all__ = ["create_console", "serve_console"]
