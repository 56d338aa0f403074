"""Compiled models that are loaded before processes are forked: these share their arrays, and start with them in memory."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from caudal.errors import CaudalError
from caudal.ledger.ledger import open_ledger
from caudal.ledger.records import decisions
from caudal.registry.load import LoadedCompiledModel, load_for_serving
from caudal.tables.home import Home

SharedModels = Mapping[tuple[str, str, int, str], LoadedCompiledModel]
"""By product, model, version and the hash of its files: a restored ledger may give a number to another version."""

log = logging.getLogger(__name__)


def load_shared(
    home: Home, ledger_url: str, product: str | None = None, model: str | None = None, *, trust: Sequence[str] = ()
) -> SharedModels:
    """Return the compiled models in production; those that cannot be read now are left to the processes, which say why.

    Others are left out: their libraries have threads, which a forked process has not.
    """
    shared: dict[tuple[str, str, int, str], LoadedCompiledModel] = {}
    with closing(open_ledger(ledger_url)) as ledger:
        try:
            names = {(row["product"], row["model"]) for row in ledger.find(decisions, **_only(product, model))}
            for row in (ledger.champion(*name) for name in sorted(names)):
                if row is None or row["compiled"] is None or row["compiled"]["reason"] is not None:
                    continue
                loaded = load_for_serving(home, ledger, row["product"], row["model"], row["version"], trust=trust)
                if isinstance(loaded, LoadedCompiledModel):
                    shared[row["product"], row["model"], row["version"], row["artifact_sha256"]] = loaded
        except (SQLAlchemyError, CaudalError, OSError) as error:
            log.debug("compiled models are not loaded before processes are forked: %s", error)
    return shared


def _only(product: str | None, model: str | None) -> dict[str, Any]:
    return {name: value for name, value in (("product", product), ("model", model)) if value is not None}
