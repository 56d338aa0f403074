"""Models in production behind a form, an API and a card (sole importer of flask)."""

from caudal.serve.app import create_app
from caudal.serve.server import serve

__all__ = ["create_app", "serve"]
