"""Templates and static files that all apps share: page layout, login, refusal, style sheet."""

from __future__ import annotations

from pathlib import Path

from flask import Flask
from jinja2 import ChoiceLoader, FileSystemLoader

HERE = Path(__file__).parent
STATIC = str(HERE / "static")


def share_templates(app: Flask) -> None:
    """Let an app's pages extend the shared ones; the app's own templates come first."""
    shared = FileSystemLoader(HERE / "templates")
    app.jinja_loader = shared if app.jinja_loader is None else ChoiceLoader([app.jinja_loader, shared])
