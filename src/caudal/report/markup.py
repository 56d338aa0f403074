"""Pages from Jinja templates: every value is escaped and freed of secrets."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from caudal.report.finalize import without_secrets

if TYPE_CHECKING:
    from jinja2 import Environment, Template

FOLDER = Path(__file__).parent / "templates"


def render_fragment(template: str, content: Mapping[str, object]) -> Markup:
    """Return a template's text filled with values; the template can call ``badge(state, words)``."""
    return Markup(_compiled(template).render(content))  # noqa: S704 the template escapes its values


def render_page(name: str, content: Mapping[str, object]) -> str:
    """Return a template of the templates folder, filled with values."""
    return _environment().get_template(name).render(content)


@cache
def _compiled(template: str) -> Template:
    return _environment().from_string('{% from "badge.html" import badge %}' + template)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        finalize=without_secrets,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
