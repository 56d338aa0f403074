"""A model of H2O by scikit-learn's conventions: a frame in, predictions out, equal to H2O's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from caudal.declarations.estimator import H2O_ALGORITHMS
from caudal.mojo.archive import Archive
from caudal.mojo.linear import Linear
from caudal.mojo.links import LINKS, softmax
from caudal.mojo.network import ACTIVATIONS, DenseNetwork
from caudal.mojo.trees import Trees

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

_TWO_CLASSES = ("bernoulli", "quasibinomial", "modified_huber")
_NUMBERS = ("gaussian", "poisson", "gamma", "tweedie", "laplace", "huber", "quantile", "negativebinomial")
_LINK_OF = {"poisson": "log", "gamma": "log", "tweedie": "log"}  # of deep learning, whose files name none


class MojoModel:
    """A model that was read from a MOJO.

    Parameters
    ----------
    data : the bytes of the MOJO

    Attributes
    ----------
    data : the same bytes
    algorithm : ``gbm``, ``drf``, ``glm`` or ``deeplearning``
    scorer_ : its trees, coefficients or layers
    """

    def __init__(self, data: bytes) -> None:
        archive = Archive.of(data)
        self.data = data
        self.algorithm = archive.facts["algo"]
        self._features = archive.columns[: int(archive.number("n_features"))]
        self._places = {
            name: {value: float(at) for at, value in enumerate(archive.domains[place])}
            for place, name in enumerate(self._features)
            if place in archive.domains
        }
        label = len(archive.columns) - 1
        self._names = None if archive.facts["category"] == "Regression" else np.asarray(archive.domains[label], object)
        self._threshold = archive.number("default_threshold", 0.5)
        self._family = archive.facts.get("distribution") or archive.facts.get("family") or ""
        self._link = _link(archive, self._family)
        self._start = archive.number("init_f", 0.0)
        self._trees = int(archive.number("n_trees", 0.0))
        self._double_trees = archive.flag("binomial_double_trees")
        response = archive.numbers("norm_resp_mul"), archive.numbers("norm_resp_sub")
        self._response = None if response[0] is None or response[1] is None else (response[0][0], response[1][0])
        self._balance = _balance(archive)
        self.scorer_: Trees | Linear | DenseNetwork = _scorer(archive, self._family)

    def predict(self, rows: pd.DataFrame) -> NDArray[Any]:
        """Return a number or a class for each row; of two classes the second from H2O's threshold on, which has the greatest F1 in training."""
        if self._names is None:
            return self._numbers(self._encoded(rows))
        shares = self._shares(self._encoded(rows))
        second = shares[:, 1] >= self._threshold if shares.shape[1] == 2 else shares.argmax(axis=1)
        named: NDArray[Any] = self._names[second.astype("int64")]
        return named

    def predict_proba(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        """Return the probability of each class, float64 [n, classes]."""
        return self._shares(self._encoded(rows))

    @property
    def classes_(self) -> NDArray[Any] | None:
        """The classes, sorted; None for numbers."""
        return self._names

    def _encoded(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        """Return the model's columns as numbers: categories as their places, missing and unknown ones as NaN."""
        columns = [
            rows[name].map(self._places[name]).to_numpy("float64") if name in self._places else rows[name].to_numpy("float64")
            for name in self._features
        ]
        return np.stack(columns, axis=1) if columns else np.zeros((len(rows), 0))

    def _numbers(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        sums = self.scorer_.sums(rows)[:, 0]
        if self.algorithm == "drf":
            return sums / self._trees
        if self._response is not None:
            sums = sums / self._response[0] + self._response[1]
        return LINKS[self._link](sums + self._start)

    def _shares(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        shares = self._raw_shares(self.scorer_.sums(rows))
        if self._balance is not None:
            shares = shares * self._balance
            shares = shares / np.add.accumulate(shares, axis=1)[:, -1:]
        return shares

    def _raw_shares(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        assert self._names is not None
        if self.algorithm == "drf":
            if len(self._names) == 2 and not self._double_trees:
                first = sums[:, 0] / self._trees
                return np.stack([first, 1.0 - first], axis=1)
            total = np.add.accumulate(sums, axis=1)[:, -1:]
            return np.where(total > 0, sums / np.where(total > 0, total, 1.0), sums)
        if self.algorithm == "glm" and sums.shape[1] > 1:
            return softmax(sums, at_least=0.0)
        if self.algorithm == "deeplearning" or self._family == "multinomial":
            return softmax(sums)
        second = LINKS[self._link](sums[:, 0] + self._start)
        return np.stack([1.0 - second, second], axis=1)


def read_mojo(data: bytes) -> MojoModel:
    """Return the model in the bytes of a MOJO.

    Raises
    ------
    ValueError : it is no MOJO, or one of another algorithm, distribution, link or option; the sentence says which
    """
    return MojoModel(data)


def _scorer(archive: Archive, family: str) -> Trees | Linear | DenseNetwork:
    algorithm, facts = archive.facts["algo"], archive.facts
    if algorithm not in H2O_ALGORITHMS:
        raise ValueError(f"its algorithm is {algorithm}; {', '.join(H2O_ALGORITHMS)} can be predicted with")
    if facts.get("offset_column", "null") != "null":
        raise ValueError("it was trained with an offset column")
    if facts.get("_genmodel_encoding", "AUTO") not in ("AUTO", "Enum"):
        raise ValueError(f"its categorical_encoding is {facts['_genmodel_encoding']}; leave it out")
    if facts["category"] not in ("Regression", "Binomial", "Multinomial"):
        raise ValueError(f"it is a model of the kind {facts['category']}")
    if algorithm == "glm":
        if facts.get("interaction_columns", "null") != "null" or any(name.startswith("interaction") for name in facts):
            raise ValueError("it has interactions, which the features can compute")
        return Linear.of(archive, int(archive.number("n_classes")) if family == "multinomial" else 1)
    if algorithm == "deeplearning":
        if facts["activation"].removesuffix("WithDropout") not in ACTIVATIONS or family == "modified_huber":
            raise ValueError(f"its activation is {facts['activation']} and its distribution {family}")
        return DenseNetwork.of(archive)
    if algorithm == "gbm" and family not in (*_TWO_CLASSES, "multinomial", *_NUMBERS):
        raise ValueError(f"its distribution is {family}")
    return Trees.of(archive)


def _balance(archive: Archive) -> NDArray[np.float64] | None:
    """Return by what the shares of classes are multiplied, where training drew as many rows of each: float64 [classes]."""
    before, drawn = archive.numbers("prior_class_distrib"), archive.numbers("model_class_distrib")
    if not archive.flag("balance_classes") or before is None or drawn is None:
        return None
    known = (before > 0) & (drawn > 0)
    return np.where(known, before / np.where(known, drawn, 1.0), 1.0)


def _link(archive: Archive, family: str) -> str:
    """Return the link function by its name; those that are not known here are refused."""
    if archive.facts["category"] == "Multinomial":
        return "identity"
    link = archive.facts.get("link_function") or archive.facts.get("link")
    if link is None or archive.facts["algo"] == "deeplearning":
        link = _LINK_OF.get(family, "identity")
    if link not in LINKS:
        raise ValueError(f"its link is {link}; {', '.join(LINKS)} can be predicted with")
    return link
