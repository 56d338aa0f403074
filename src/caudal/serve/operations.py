"""The operations of one model. Requests are answered by them, and the OpenAPI document is drawn from them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Response, jsonify, request
from flask_openapi.blueprint import APIBlueprint
from pydantic_core import from_json
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from caudal.lake.ledger import Ledger
from caudal.serve.card import card_of
from caudal.serve.inputs import checked, problem
from caudal.serve.predicting import answers, is_problem
from caudal.serve.schemas import Card, Failure, ImageBody, Problems, answer_model, batch_models, image_answer_model, rows_model
from caudal.serve.served import Served

MOST_ROWS = 1000
MOST_BYTES = 4 * 2**20

Handler = Callable[[], Response]


@dataclass(frozen=True)
class Operations:
    """What can be done with one champion: handlers by path, and their description."""

    handlers: dict[str, Handler]
    api: APIBlueprint


def operations(served: Served, ledger: Ledger, security: list[dict[str, list[str]]], *, images: bool = False) -> Operations:
    """Return the operations of a champion; one that takes images is described so, and answered in ``serve/uploads.py``."""
    name, output = f"{served.product}/{served.model}", served.signature.output
    api = APIBlueprint(
        f"{served.product}_{served.model}",
        __name__,
        url_prefix=f"/api/v1/{name}",
        abp_tags=[{"name": name, "description": f"{output.name}, version {served.version}"}],
        abp_security=security,
        abp_responses={code: Failure for code in (401, 404, 503) if security or code != 401},
    )
    unit = f" in {output.unit}" if output.unit else ""
    every, some = batch_models(served)
    bad_body: dict[int | str, Any] = {400: Failure, 413: Failure, 415: Failure}

    def predict(body: Any) -> Response:
        values, problems = checked(body, served.signature, served.inputs)
        answer = problems or answers(served, [values])
        if problems or is_problem(answer[0]):
            return _json({"errors": answer}, 422)
        return _json(answer[0])

    def predict_batch(body: Any) -> Response:
        if not isinstance(body, list) or not 1 <= len(body) <= MOST_ROWS:
            got = f"{len(body)} rows" if isinstance(body, list) else body
            refused = {"row": None, **problem(None, "The body is not a list of rows.", got, f"a list of 1 to {MOST_ROWS} rows")}
            return _json({"errors": [refused], "predictions": []}, 422)
        return _batch(served, body)

    def card() -> Response:
        return _json(card_of(ledger, served))

    # The bodies' shapes are made at run time, so they cannot stand in the source as annotations.
    predict.__annotations__["body"] = served.inputs
    predict_batch.__annotations__["body"] = rows_model(served, MOST_ROWS)
    api.post(
        "/predict",
        summary=f"Predict {output.name}{unit}",
        description="One row in, one prediction out, by the version in production.",
        responses={200: answer_model(served), 422: Problems, **bad_body},
    )(predict)
    api.post(
        "/predict/batch",
        summary=f"Predict {output.name}{unit} for many rows",
        description=f"At most {MOST_ROWS} rows. If one is bad the status is 422, the errors name it, and the rest is predicted.",
        responses={200: every, 422: some, **bad_body},
    )(predict_batch)
    if images:

        def predict_image(body: ImageBody) -> None:
            """Stand in the document for what `uploads` answers."""

        predict_image.__annotations__["body"] = ImageBody
        api.post(
            "/predict/image",
            summary=f"Predict {output.name} from an image",
            description="As JSON, as the file `image` of a form, or as the bytes alone. The nearest training images come with the answer.",
            responses={200: image_answer_model(served), 422: Problems, **bad_body},
        )(predict_image)
    api.get("/card", summary="The model's card", description=Card.__doc__ or "", responses={200: Card})(card)
    return Operations({"predict": lambda: predict(_body()), "predict/batch": lambda: predict_batch(_body()), "card": card}, api)


def _batch(served: Served, body: list[Any]) -> Response:
    gated = [checked(values, served.signature, served.inputs) for values in body]
    good = [index for index, (_, problems) in enumerate(gated) if not problems]
    errors = [{"row": index, **one} for index, (_, problems) in enumerate(gated) for one in problems]
    predictions: list[Any] = [None] * len(body)
    for index, answer in zip(good, answers(served, [gated[index][0] for index in good]), strict=True):
        if is_problem(answer):
            errors.append({"row": index, **answer})
        else:
            predictions[index] = answer
    if errors:
        return _json({"errors": sorted(errors, key=lambda one: one["row"]), "predictions": predictions}, 422)
    return _json({"predictions": predictions})


def _body() -> Any:
    if not request.is_json:
        raise UnsupportedMediaType("The body is not declared as JSON.")
    try:
        # Not json.loads: it runs out of stack on deep nesting, and lets half surrogates through.
        # NaN is let in, to be refused with its field's name.
        return from_json(request.get_data(cache=False), allow_inf_nan=True)
    except ValueError as error:
        raise BadRequest(f"The body is not JSON: {error}.") from None


def _json(document: Any, status: int = 200) -> Response:
    response = jsonify(document)
    response.status_code = status
    return response
