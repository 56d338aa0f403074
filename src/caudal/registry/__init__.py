"""Model versions and the decisions about them. MLflow is imported only while a version is registered."""

from caudal.registry.card import card, list_versions
from caudal.registry.decide import champion, history, promote, refuse, rollback
from caudal.registry.load import LoadedCompiledModel, LoadedModel, LoadedSparkModel, load_for_serving, load_version
from caudal.registry.register import Registered, find, register
from caudal.registry.track import warm_up
from caudal.registry.trials import start_trial, withdraw

__all__ = [
    "LoadedCompiledModel", "LoadedModel", "LoadedSparkModel", "Registered", "card", "champion", "find", "history", "list_versions", "load_for_serving", "load_version", "promote", "refuse",
    "register", "rollback", "start_trial", "warm_up", "withdraw",
]  # fmt: skip
