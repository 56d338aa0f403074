"""The shapes of the API's answers, as the OpenAPI document shows them."""

from __future__ import annotations

from typing import Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, RootModel, create_model

from caudal.serve.served import Served

Scalar = bool | int | float | str
SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {"header": []}]
"""How an operation takes a key."""


class Problem(BaseModel):
    """One thing wrong with an input."""

    field: str | None = Field(description="The input, null when the whole row is meant.")
    problem: str = Field(description="What is wrong.")
    got: Scalar | None = Field(description="What was sent, cut when long.")
    allowed: str = Field(description="What may be sent.")
    nearest: str | None = Field(description="The right thing that lies closest.")


class InputWarning(BaseModel):
    """An input from which the model predicts, though nothing like it was among the training rows."""

    field: str
    warning: str
    got: Scalar | None = Field(description="What was sent.")
    seen: str = Field(description="The range of the training rows.")


class Problems(BaseModel):
    """What is wrong with a row."""

    errors: list[Problem]
    more_errors: int = Field(description="How many further things are wrong.")


class RowProblem(Problem):
    """One thing wrong with an input of one row."""

    row: int | None = Field(description="Counted from 0; null when the whole body is meant.")


class RowProblems(BaseModel):
    """What is wrong with a row of a stream."""

    errors: list[RowProblem]
    more_errors: int = Field(description="How many further things are wrong.")


class Failure(BaseModel):
    """Why a request was not answered."""

    error: str
    what: str
    nearest: str | None
    fix: str | None


class ViewAge(BaseModel):
    """How old the online view is in which features are found."""

    built_at: str | None = Field(description="When it was built, UTC.")
    age_s: float = Field(description="Seconds since then.")
    data_until: str | None = Field(description="The time of the newest row that it was made of.")


class LookedUp(ViewAge):
    """What the server found in the place of what was left out."""

    values: dict[str, Scalar] = Field(description="The values that it found, by input.")
    not_found: list[str] = Field(description="Inputs for which it found none; the model takes what it takes for missing values.")


class VersionOnTrial(BaseModel):
    """A version that is tried beside the one in production."""

    version: int
    decision: Literal["shadow", "canary"]
    share: float = Field(description="Of the keys whose requests it answers; 0 in shadow.")
    by: str = Field(description="What the keys are: row, input:NAME, caller or header:NAME.")
    since: str | None = Field(description="UTC.")
    ready: bool
    reason: str | None = Field(description="Why it is not in memory; the version in production answers all then.")


class State(BaseModel):
    """How one model is served."""

    product: str
    model: str
    version: int | None = Field(description="The version in memory.")
    since: str | None = Field(description="When it was promoted, UTC.")
    ready: bool
    reason: str | None = Field(description="Why the promoted version is not the one served.")
    view: ViewAge | None = Field(description="The online view of its features; null where nothing is looked up.")
    view_reason: str | None = Field(
        description="Why the newest online view cannot be read, or its place does not answer; rows in memory are still found."
    )
    trial: VersionOnTrial | None = Field(description="The version on trial; null where there is none.")


class Health(BaseModel):
    """The process answers."""

    status: Literal["alive"]


class Readiness(BaseModel):
    """Whether every model that has a champion can predict."""

    ready: bool
    reason: str | None
    models: list[State]


class Models(BaseModel):
    """The models served here."""

    models: list[State]


class Card(BaseModel):
    """What is in production, what it was trained on, how good it is, and who let it through."""

    model_config = ConfigDict(extra="allow")
    product: str
    model: str
    version: int
    candidate: str
    trained_at: str
    since: str
    decision: dict[str, object]
    gates: list[dict[str, object]]
    rule: str | None
    score: dict[str, object] | None
    baseline: dict[str, object] | None
    candidates: list[dict[str, object]]
    metrics: object
    holdout: object
    training: dict[str, object]
    parameters: object
    environment: object
    compiled: dict[str, object] | None = Field(
        description="Why the pipeline itself predicts, null where arrays do, and the number of rows on which both were compared; null for versions of before, "
        "and those that are no pipelines of scikit-learn's kind."
    )
    inputs: list[dict[str, object]]
    output: dict[str, object]
    trial: dict[str, object] | None = Field(
        description="The version on trial, and what was seen of both; null where there is none."
    )
    history: list[dict[str, object]]


class Contribution(BaseModel):
    """What an input contributed to a prediction."""

    input: str
    value: Scalar | None
    typical: Scalar | None = Field(description="Its value in the typical row.")
    contribution: float = Field(
        description="By how much the prediction is greater because the input has this value and not the typical one."
    )


class Explanation(BaseModel):
    """Shapley values against a typical row: the contributions add up to the prediction less that of the typical row."""

    of: str = Field(description="What is explained: the prediction, or the probability of the predicted class.")
    typical: float = Field(
        description="The prediction for the typical row: the median of each number, the most frequent value of others."
    )
    contributions: list[Contribution] = Field(description="The greatest first.")
    exact: bool = Field(description="Whether all orders of the inputs were counted, or some were drawn.")


class PredictQuery(BaseModel):
    """What may stand behind the address of a prediction."""

    explain: bool = Field(default=False, description="Whether to say what each input contributed.")


def answer_model(served: Served) -> type[BaseModel]:
    """Return the shape of one prediction."""
    output = served.signature.output
    fields: dict[str, Any] = {
        "prediction": (float if output.type == "double" else Scalar, Field(description=f"The predicted {output.name}.")),
        "unit": (str | None, ...),
        "name": (str, Field(description="What is predicted.")),
        "product": (str, ...),
        "model": (str, ...),
        "version": (int, Field(description="The version that predicted.")),
        "candidate": (str, ...),
        "warnings": (list[InputWarning], Field(description="Inputs outside the range of the training rows.")),
    }
    fields["explanation"] = (Explanation | None, Field(default=None, description="Where it was asked for with ?explain=true."))
    if served.lookups is not None:
        fields["looked_up"] = (LookedUp, Field(description="What was found by the keys and times that were sent."))
    if output.classes:
        fields["probabilities"] = (dict[str, float], Field(default={}, description="By class; they add up to 1."))
    return cast(type[BaseModel], create_model(served.schema_name("Prediction"), **fields))


class ImageBody(BaseModel):
    """An image as text."""

    image: str = Field(description="JPEG, PNG, WebP, GIF, BMP or TIFF, in base64.")


class NearImage(BaseModel):
    """A training image that lies near."""

    label: str
    distance: float = Field(description="Between the model's inputs, Euclidean.")
    image: str = Field(description="Where it is shown, small.")


def image_answer_model(served: Served) -> type[BaseModel]:
    """Return the shape of one prediction from an image."""
    near = (list[NearImage], Field(description="The nearest first."))
    return cast(type[BaseModel], create_model(served.schema_name("ImagePrediction"), __base__=answer_model(served), nearest=near))


def rows_model(served: Served, most: int) -> type[BaseModel]:
    """Return the shape of a batch."""
    rows: Any = list[served.inputs]  # type: ignore[name-defined]
    many = Field(min_length=1, max_length=most)
    return cast(type[BaseModel], create_model(served.schema_name("Rows"), __base__=RootModel[rows], root=(rows, many)))


def batch_models(served: Served) -> tuple[type[BaseModel], type[BaseModel]]:
    """Return the shapes of a batch's answer: when all rows are good, and when some are not."""
    answer = answer_model(served)
    every = create_model(served.schema_name("Predictions"), predictions=(list[answer], ...))  # type: ignore[valid-type]
    some = create_model(
        served.schema_name("SomePredictions"),
        errors=(list[RowProblem], ...),
        more_errors=(int, Field(description="How many further things are wrong.")),
        predictions=(list[answer | None], Field(description="In the order of the rows; null where one has an error.")),  # type: ignore[valid-type]
    )
    return every, some
