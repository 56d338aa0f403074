"""The catalog as static pages in a folder: any web server can serve it, and a browser can open it from disk."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from caudal.report.catalog_view import CatalogPages
from caudal.report.finalize import without_secrets
from caudal.report.page_file import write_page
from caudal.secret import redacted

if TYPE_CHECKING:
    from jinja2 import Template

FOLDER = Path(__file__).parent / "templates"
CATALOG_FILE = "catalog.json"


def write_catalog(document: Mapping[str, Any], out: Path, made_at: float) -> list[str]:
    """Write the pages of a catalog into a folder and return their names; delete the pages of nodes that no longer exist.

    ``catalog.json`` in the same folder holds the same content for programs.
    """
    document = cast("Mapping[str, Any]", redacted(document))
    pages = CatalogPages(document, made_at)
    files = {name: _template().render(content) for name, content in pages.all()}
    files |= {
        "catalog.css": (FOLDER / "run.css").read_text("utf-8") + (FOLDER / "catalog.css").read_text("utf-8"),
        "catalog.js": (FOLDER / "catalog.js").read_text("utf-8"),
        "search.js": f"window.CATALOG={json.dumps(pages.index(), ensure_ascii=False)};\n",
    }
    old_names = _written_pages(out)
    for name, text in files.items():
        write_page(out / name, text)
    write_page(
        out / CATALOG_FILE,
        json.dumps({"made_at": made_at, "pages": sorted(files), **document}, indent=1, ensure_ascii=False, default=str),
    )
    for name in set(old_names) - set(files):
        (out / name).unlink(missing_ok=True)
    return sorted(files)


def _written_pages(out: Path) -> Sequence[str]:
    """Return the names of the pages that an earlier call wrote into the folder; never a name outside of it."""
    try:
        names = json.loads((out / CATALOG_FILE).read_text("utf-8"))["pages"]
    except (OSError, ValueError, KeyError):
        return ()
    return [name for name in names if isinstance(name, str) and ".." not in Path(name).parts and not Path(name).is_absolute()]


@cache
def _template() -> Template:
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(
        loader=FileSystemLoader(FOLDER), autoescape=True, finalize=without_secrets, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("catalog.html")
