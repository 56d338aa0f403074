"""Running streams, drawn in the browser (sole importer of dash)."""

from caudal.extras import require

require("dash", extra="console", for_="caudal console")  # before any module of this room, which all draw with it

from caudal.console.app import create_console  # noqa: E402
from caudal.console.server import console  # noqa: E402

__all__ = ["console", "create_console"]
