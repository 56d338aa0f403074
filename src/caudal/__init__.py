"""caudal: a data product declared once, in Python, from raw data to a served model."""

import os
from types import ModuleType

from caudal.declarations.alert import mail, webhook
from caudal.declarations.connection import files, folder, http, kafka, simulated, socket, stream
from caudal.declarations.database import database
from caudal.declarations.format import fixed_width
from caudal.declarations.holdout import holdout
from caudal.declarations.images import images, network
from caudal.declarations.model import hashed, temporal
from caudal.declarations.outlet import drop, topic
from caudal.declarations.product import Product
from caudal.declarations.schema import column, schema
from caudal.declarations.service_levels import sla, working_hours
from caudal.declarations.star import date_dimension, dimension, fact
from caudal.declarations.statistics import EEG_BANDS
from caudal.declarations.trigger import cron, every, on_arrival, on_publish
from caudal.declarations.warehouse import warehouse
from caudal.declarations.web import env, pages, since
from caudal.declarations.zone import in_zone
from caudal.errors import CaudalError
from caudal.words import word as _word, words as _words

# Busy waiting of OpenMP threads makes gradient boosting ten times slower while Spark or other work uses the same cores.
# The variable is read once, when scikit-learn is loaded, so it is set here.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

__version__ = "0.1.0"

# The names imported above are for products; features, gates and other kinds are found in their folders (``words.py``). For editors and
# type checkers ``tools/stubs.py`` writes both into ``__init__.pyi``.
_DECLARED = [
    name for name, value in globals().items() if not (name.startswith("_") or isinstance(value, ModuleType) or value is ModuleType)
]


def __getattr__(name: str) -> object:
    if name == "__all__":
        return __dir__()
    return globals().setdefault(name, _word(name, _DECLARED))


def __dir__() -> list[str]:
    return sorted({*_DECLARED, *_words()})
