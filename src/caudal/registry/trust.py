"""The types that a stored model may contain: a fixed list, and those that the settings add by name.

skops trusts scikit-learn's estimators, NumPy's arrays and universal functions by default. Other types are compared with
this list. A file never grants its own permission.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from caudal.errors import EnvironmentProblem

PICKLE = "pickle"  # a setting, not a type: unpickling runs any code in the file

_DISTANCES = (
    "Euclidean", "SEuclidean", "Manhattan", "Chebyshev", "Minkowski", "Mahalanobis", "Hamming", "Canberra", "BrayCurtis", "Jaccard",
    "Matching", "Dice", "Kulsinski", "RogersTanimoto", "RussellRao", "SokalMichener", "SokalSneath", "Haversine",
)  # fmt: skip

# Parts of fitted scikit-learn estimators: plain data and arithmetic. PyFuncDistance, which calls any function, is left out.
_PARTS = {
    "caudal.stages.frameworks.xgboost_classes": ("NamedXGBClassifier", "NamedXGBRFClassifier"),
    "caudal.stages.mitigation.group_thresholds": ("GroupThresholds",),
    "caudal.stages.mitigation.reduction": ("Reduced",),
    "caudal.stages.mitigation.reweigh": ("Reweighed",),
    "collections": ("OrderedDict",),
    "functools": ("partial",),  # skops audits the wrapped function itself
    "lightgbm.basic": ("Booster",),  # its state is the text of its trees
    "lightgbm.sklearn": ("LGBMClassifier", "LGBMRegressor"),
    "numpy": ("dtype",),
    "numpy.random._pickle": ("__generator_ctor", "__randomstate_ctor"),
    "sklearn._loss.link": ("HalfLogitLink", "IdentityLink", "Interval", "LogLink", "LogitLink", "MultinomialLogit"),
    "sklearn._loss.loss": (
        "AbsoluteError", "ExponentialLoss", "HalfBinomialLoss", "HalfGammaLoss", "HalfMultinomialLoss", "HalfPoissonLoss",
        "HalfSquaredError", "HalfTweedieLoss", "HalfTweedieLossIdentity", "HuberLoss", "PinballLoss",
    ),
    "sklearn._loss._loss": (
        "CyAbsoluteError", "CyExponentialLoss", "CyHalfBinomialLoss", "CyHalfGammaLoss", "CyHalfMultinomialLoss", "CyHalfPoissonLoss",
        "CyHalfSquaredError", "CyHalfTweedieLoss", "CyHalfTweedieLossIdentity", "CyHuberLoss", "CyPinballLoss",
    ),
    "sklearn.calibration": ("_CalibratedClassifier", "_SigmoidCalibration", "_TemperatureScaling"),
    "sklearn.compose._column_transformer": ("make_column_selector",),
    "sklearn.ensemble._hist_gradient_boosting.predictor": ("TreePredictor",),
    "sklearn.gaussian_process._gpc": ("_BinaryGaussianProcessClassifierLaplace",),
    "sklearn.gaussian_process.kernels": (
        "CompoundKernel", "ConstantKernel", "DotProduct", "ExpSineSquared", "Exponentiation", "Matern", "PairwiseKernel", "Product", "RBF",
        "RationalQuadratic", "Sum", "WhiteKernel",
    ),
    "sklearn.metrics._dist_metrics": tuple(f"{name}Distance{bits}" for name in _DISTANCES for bits in (32, 64)),
    "sklearn.neighbors._ball_tree": ("BallTree", "BallTree32", "BallTree64"),
    "sklearn.neighbors._kd_tree": ("KDTree", "KDTree32", "KDTree64"),
    "sklearn.neural_network._stochastic_optimizers": ("AdamOptimizer", "SGDOptimizer"),
    "sklearn.tree._tree": ("Tree",),
    "sklearn.utils.validation": ("check_array",),
    "xgboost.core": ("Booster",),  # its state is the bytes of its trees
    "xgboost.sklearn": ("XGBClassifier", "XGBRFClassifier", "XGBRFRegressor", "XGBRegressor"),
}  # fmt: skip

SAFE = frozenset(f"{module}.{name}" for module, names in _PARTS.items() for name in names)


def unknown(types: Iterable[str], trust: Sequence[str] = ()) -> list[str]:
    """Return the types that are neither on the list nor trusted by name (``package.module.Type``, or ``package.*``).

    Examples
    --------
    >>> unknown(["sklearn.tree._tree.Tree", "shop.model.Cut", "posix.system"], trust=["shop.*"])
    ['posix.system']
    """
    return sorted({type_ for type_ in types if type_ not in SAFE and not any(_covers(allowed, type_) for allowed in trust)})


def require_known(types: Iterable[str], trust: Sequence[str], version_label: str) -> None:
    """Raise if a model contains types that are not known to be safe.

    Raises
    ------
    EnvironmentProblem : the error names the types and the setting that would trust them
    """
    foreign = unknown(types, trust)
    if foreign:
        raise EnvironmentProblem(
            f"{version_label} holds types that are not known to be safe: {', '.join(foreign)}.",
            fix=f"If they are yours, trust them by name: trust = [{', '.join(repr(type_) for type_ in foreign)}] (CAUDAL_TRUST, comma-separated).",
            types=", ".join(foreign),
        )


def require_pickle(trust: Sequence[str], version_label: str) -> None:
    """Raise unless the settings allow pickle, which runs any code in the file."""
    if PICKLE not in trust:
        raise EnvironmentProblem(
            f"{version_label} can be stored only by pickle, and loading a pickle runs any code that is in it.",
            fix="Use estimators, and functions at the top level of importable modules, that skops can store; or allow it: trust = ['pickle'].",
            format=PICKLE,
        )


def _covers(allowed: str, type_: str) -> bool:
    return type_.startswith(allowed[:-1]) if allowed.endswith(".*") else type_ == allowed
