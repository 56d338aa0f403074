"""Candidates made of H2O's estimators, with the same protocol as those of scikit-learn: trained by a server, kept as a MOJO."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from caudal.declarations.signature import coerce_inputs, prediction_frame
from caudal.errors import StepFailed
from caudal.mojo import MojoModel, read_mojo

if TYPE_CHECKING:
    import pandas as pd

    from caudal.declarations.signature import InputDocument
    from caudal.stages.frameworks.h2o_server import H2OServer

COMPARED_ROWS = 1000
TOLERANCE = 1e-6


@dataclass(frozen=True)
class H2OCandidate:
    """An estimator of H2O; each fit works on a copy.

    Strings are categories, numbers are numbers, missing values are missing: H2O prepares them itself.

    Parameters
    ----------
    inputs : ``name`` and ``type`` of each input
    classes : the classes, sorted; None for regression
    seed : where the estimator has none
    server : what trains it
    """

    estimator: Any
    inputs: Sequence[InputDocument]
    classes: tuple[str, ...] | None
    seed: int
    server: H2OServer

    def fit(self, frame: pd.DataFrame, label: pd.Series) -> FittedMojo:
        """Return the model trained on some rows, read from its MOJO.

        Raises
        ------
        StepFailed : it cannot be read, or predicts otherwise here than in H2O
        """
        h2o = self.server.library()
        inputs = coerce_inputs(frame, self.inputs)
        names = [input_["name"] for input_ in self.inputs]
        try:
            rows, target = self._uploaded(h2o, inputs, label)
            model = self._copy()
            model.train(x=names, y=target, training_frame=rows)
            read = _read(model)
            _compare(read, model, rows, inputs.iloc[:COMPARED_ROWS], names)
        finally:
            h2o.remove_all()
        return FittedMojo(read, self.inputs)

    def parameters(self) -> dict[str, object]:
        """Return the estimator's class and the parameters that it was given."""
        given = {name: value for name, value in self.estimator.get_params(deep=False).items() if value is not None}
        plain = {name: value if isinstance(value, bool | int | float | str) else str(value) for name, value in given.items()}
        return {"class": f"{type(self.estimator).__module__}.{type(self.estimator).__qualname__}", **plain}

    def _copy(self) -> Any:
        given = {name: value for name, value in self.estimator.get_params(deep=False).items() if name != "model_id"}
        if given.get("seed") in (None, -1):
            given["seed"] = self.seed
        copy = type(self.estimator)()
        copy.set_params(**given)
        return copy

    def _uploaded(self, h2o: Any, inputs: pd.DataFrame, label: pd.Series) -> tuple[Any, str]:
        """Return the rows as a frame of the server, and the name of the label in it."""
        target = "label"
        while target in inputs:
            target += "_"
        columns: dict[str, Any] = {}
        categories: dict[str, list[str]] = {}
        texts = {input_["name"]: inputs[input_["name"]] for input_ in self.inputs if input_["type"] == "string"}
        if self.classes is not None:
            texts[target] = label.astype(str)
        for name in [*(input_["name"] for input_ in self.inputs), target]:
            if name not in texts:
                columns[name] = (label if name == target else inputs[name]).to_numpy("float64")
                continue
            # As numbers, since H2O takes some texts of a file ("NA", "10") for something else.
            categories[name] = sorted(texts[name].dropna().unique())
            places = {value: float(at) for at, value in enumerate(categories[name])}
            columns[name] = texts[name].map(places).to_numpy("float64")
        rows = _upload(h2o, columns)
        rows.names = list(columns)
        for name, known in categories.items():
            if known:  # a column of missing values alone stays a number
                rows[name] = rows[name].asfactor()
                rows[name] = rows[name].set_levels(known)
        return rows, target


@dataclass(frozen=True)
class FittedMojo:
    """A model that was read from a MOJO."""

    estimator: MojoModel
    inputs: Sequence[InputDocument]
    found: Mapping[str, object] = field(default_factory=dict)

    format = "mojo"

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return ``prediction`` and, for classes, ``probability_<class>``."""
        inputs = coerce_inputs(frame, self.inputs)
        classes = self.estimator.classes_
        shares = None if classes is None else self.estimator.predict_proba(inputs)
        return prediction_frame(frame, self.estimator.predict(inputs), shares, None if classes is None else list(classes))


def _upload(h2o: Any, columns: Mapping[str, Any]) -> Any:
    """Return a frame of numbers in the server, its columns named by their places."""
    import pandas as pd

    with TemporaryDirectory(prefix="caudal-h2o-") as folder:
        file = Path(folder) / "rows.csv"
        table = pd.DataFrame({f"c{at}": values for at, values in enumerate(columns.values())})
        table.to_csv(file, index=False, quoting=csv.QUOTE_MINIMAL)
        return h2o.upload_file(str(file), header=1, sep=",", col_types=["numeric"] * len(columns))


def _read(model: Any) -> MojoModel:
    with TemporaryDirectory(prefix="caudal-h2o-") as folder:
        file = Path(folder) / "model.zip"
        model.download_mojo(str(file))
        data = file.read_bytes()
    try:
        return read_mojo(data)
    except ValueError as error:
        raise StepFailed(f"The model of {type(model).__name__} cannot be kept: {error}.") from None


def _compare(read: MojoModel, model: Any, rows: Any, inputs: pd.DataFrame, names: Sequence[str]) -> None:
    """Raise if the model that was read predicts otherwise than H2O itself, on rows of the training."""
    answers = model.predict(rows[: len(inputs), list(names)]).as_data_frame(use_pandas=False, header=False)
    places = [0] if read.classes_ is None else range(1, 1 + len(read.classes_))
    expected = np.asarray([[float(answer[place] or "nan") for place in places] for answer in answers])
    actual = read.predict(inputs)[:, None] if read.classes_ is None else read.predict_proba(inputs)
    same = np.isclose(actual, expected, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True).all(axis=1)
    if not same.all():
        place = int(np.flatnonzero(~same)[0])
        raise StepFailed(
            f"The model of {type(model).__name__} cannot be kept: of {len(same):,} training rows, {np.count_nonzero(~same):,} have other predictions "
            f"outside of H2O, such as {actual[place].tolist()} for {expected[place].tolist()}.",
            fix="Leave out the parameters that are not usual.",
        )
