"""caudal: a data product declared once, in Python, from raw data to a served model."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from caudal.declarations.alert import mail, webhook
from caudal.declarations.connection import files, folder, http, kafka, simulated, socket, stream
from caudal.declarations.database import database
from caudal.declarations.detector import density, half_space_trees, local_outlier, robust_z, surprise
from caudal.declarations.format import fixed_width
from caudal.declarations.holdout import holdout
from caudal.declarations.images import images, network
from caudal.declarations.model import beats, beats_baseline, beats_champion, hashed, limit, parity, temporal
from caudal.declarations.outlet import drop, topic
from caudal.declarations.product import Product
from caudal.declarations.schema import column, schema
from caudal.declarations.star import date_dimension, dimension, fact
from caudal.declarations.statistics import EEG_BANDS
from caudal.declarations.trigger import cron, every, on_arrival, on_publish
from caudal.declarations.warehouse import warehouse
from caudal.declarations.web import env, pages, since
from caudal.declarations.zone import in_zone
from caudal.errors import CaudalError

if TYPE_CHECKING:
    from caudal.stages.features import as_of_join, calendar, lag, past_mean, rolling
    from caudal.stages.features.embed import embed
    from caudal.stages.features.fitted import fitted
    from caudal.stages.features.pca import pca
    from caudal.stages.tables import fill_gaps, tumble

# OpenMP threads that wait by spinning make gradient boosting ten times slower beside Spark or any other work on the same cores.
# It is read once, when scikit-learn is loaded, so it is said here.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

__version__ = "0.1.0"

# What works on Spark frames is imported when it is first used: declaring a product starts no engine.
_LATER = {
    "tumble": "caudal.stages.tables",
    "fill_gaps": "caudal.stages.tables",
    "lag": "caudal.stages.features",
    "rolling": "caudal.stages.features",
    "calendar": "caudal.stages.features",
    "as_of_join": "caudal.stages.features",
    "past_mean": "caudal.stages.features",
    "embed": "caudal.stages.features.embed",
    "fitted": "caudal.stages.features.fitted",
    "pca": "caudal.stages.features.pca",
}

__all__ = [
    "EEG_BANDS",
    "CaudalError",
    "Product",
    "as_of_join",
    "beats",
    "beats_baseline",
    "beats_champion",
    "calendar",
    "column",
    "cron",
    "database",
    "date_dimension",
    "density",
    "dimension",
    "drop",
    "embed",
    "env",
    "every",
    "fact",
    "files",
    "fill_gaps",
    "fitted",
    "fixed_width",
    "folder",
    "half_space_trees",
    "hashed",
    "holdout",
    "http",
    "images",
    "in_zone",
    "kafka",
    "lag",
    "limit",
    "local_outlier",
    "mail",
    "network",
    "on_arrival",
    "on_publish",
    "pages",
    "parity",
    "past_mean",
    "pca",
    "robust_z",
    "rolling",
    "schema",
    "simulated",
    "since",
    "socket",
    "stream",
    "surprise",
    "temporal",
    "topic",
    "tumble",
    "warehouse",
    "webhook",
]


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module 'caudal' has no attribute '{name}'")
