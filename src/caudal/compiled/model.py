"""A compiled model: what it needs of a row, its parts, and what they give."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from caudal.compiled.arrays import Arrays
from caudal.compiled.outputs import RowAnswer, ScoreOutput
from caudal.compiled.part import Part, read_part
from caudal.declarations.signature import NUMBERS, RowPredictions
from caudal.errors import EnvironmentProblem

DESCRIPTION, ARRAYS = "compiled.json", "compiled.npz"
FORM = 1  # of the description; another one is not read


@dataclass(frozen=True)
class CompiledModel:
    """A fitted pipeline as arrays, which predicts from rows as they come.

    Parameters
    ----------
    inputs : name and whether it is a number, in the order of the pipeline
    model : the parts; the last gives scores
    """

    inputs: tuple[tuple[str, bool], ...]
    model: Part
    output: ScoreOutput

    def predict_rows(self, rows: Sequence[Mapping[str, Any]]) -> RowPredictions:
        """Return the prediction of each row, and the probabilities of each class.

        Parameters
        ----------
        rows : values by name of the input; None or NaN is a missing one

        Raises
        ------
        ValueError, TypeError, KeyError : the pipeline refuses such a row too
        """
        answers = [self.predict(row) for row in rows]
        labels = self.output.labels if self.output.has_shares else ()
        return RowPredictions(
            [value for value, _ in answers],
            {label: [shares[place] for _, shares in answers if shares is not None] for place, label in enumerate(labels)},
        )

    def predict(self, row: Mapping[str, Any]) -> RowAnswer:
        """Return the prediction of one row, and the probability of each class."""
        values: list[float | str] = []
        for name, is_number in self.inputs:
            value = row[name]
            if value is None or value != value:
                values.append(math.nan)
            else:
                values.append(float(value) if is_number else str(value))
        return self.output.answer(self.model.values(values))


def read_compiled(files: Mapping[str, bytes], version_label: str) -> CompiledModel | None:
    """Return the compiled model among the files of a version; None where it has none.

    Raises
    ------
    EnvironmentProblem : its description or its arrays are not whole
    """
    if DESCRIPTION not in files:
        return None
    try:
        document = json.loads(files[DESCRIPTION])
        if document["form"] != FORM:
            raise ValueError(f"it has the form {document['form']}, and {FORM} is read here")
        if document["reason"] is not None:
            return None
        return compiled_model(document, Arrays.of(files[ARRAYS]))
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, OSError) as error:
        raise EnvironmentProblem(
            f"The compiled form of {version_label} cannot be read: {type(error).__name__}: {error}.", fix="Train again."
        ) from error


def compiled_model(document: Mapping[str, Any], arrays: Arrays) -> CompiledModel:
    """Return the model that a description and its arrays have.

    Raises
    ------
    ValueError, KeyError, TypeError : they are not whole
    """
    inputs = tuple((str(input_["name"]), input_["type"] in NUMBERS) for input_ in document["inputs"])
    model = read_part(document["model"], arrays, len(inputs))
    return CompiledModel(inputs, model, ScoreOutput.read(document["output"], model.width))
