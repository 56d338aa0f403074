"""A product that has run once, copied with its home for each test that changes either."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path


def copy_place(made: Path, to: Path) -> None:
    """Copy a folder with a product and its ``home``, and have the ledger's paths lead into the copy."""
    shutil.copytree(made, to, dirs_exist_ok=True)
    database = sqlite3.connect(to / "home" / "ledger.db")
    paths = {"old": str(made.resolve()), "new": str(to.resolve())}
    database.execute("UPDATE landed SET path = replace(path, :old, :new), base = replace(base, :old, :new)", paths)
    database.execute("UPDATE manifests SET folder = replace(folder, :old, :new), document = replace(document, :old, :new)", paths)
    database.commit()
    database.close()
