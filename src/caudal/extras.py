"""Libraries that not every installation has, and the extras of the package that bring them (``docs/installation.md``)."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from caudal.errors import EnvironmentProblem

# Distributions that are not named after the module that they hold.
_DISTRIBUTIONS = {
    "PIL": "pillow",
    "grpc": "grpcio",
    "grpc_status": "grpcio-status",
    "google.rpc": "googleapis-common-protos",
    "openlineage.client": "openlineage-python",
}

CANDIDATE_LIBRARIES = {"lightgbm": ("lightgbm",), "xgboost": ("xgboost", "xgboost-cpu"), "cuml": ("cuml-cu12",), "h2o": ("h2o",)}
"""The libraries of candidates that products import themselves, each with the distributions that hold it; the extra has the library's name."""


def require(library: str, *, extra: str, for_: str) -> ModuleType:
    """Return an imported library of an extra.

    Parameters
    ----------
    library : name of the module, such as ``plotly``
    extra : the extra of caudal that brings it, such as ``console``
    for_ : what needs it, as the subject of a sentence

    Raises
    ------
    EnvironmentProblem : it is not installed, or cannot be loaded; the fix is the command that installs it
    """
    try:
        return import_module(library)
    except ModuleNotFoundError:
        raise missing_library(library, extra=extra, for_=for_) from None
    except ImportError as error:
        problem = missing_library(library, extra=extra, for_=for_, wrong=f"cannot be loaded: {error}")
        raise problem from error


def missing_library(library: str, *, extra: str, for_: str, wrong: str = "is not installed") -> EnvironmentProblem:
    """Return the problem of a library that is not there, with the command that installs it.

    Examples
    --------
    >>> print(missing_library("confluent_kafka", extra="kafka", for_="caudal broker"))
    caudal broker needs confluent-kafka, which is not installed. Run: pip install 'caudal[kafka]'
    """
    package = _DISTRIBUTIONS.get(library, library.partition(".")[0].replace("_", "-"))
    return EnvironmentProblem(
        f"{for_} needs {package}, which {wrong}.",
        fix=f"Run: pip install 'caudal[{extra}]'",
        package=package,
        extra=extra,
        transient=False,
    )
