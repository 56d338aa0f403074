"""The operations of one model: they answer the requests, and the OpenAPI document is generated from them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Response, current_app, g, jsonify, request
from flask_openapi.blueprint import APIBlueprint
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from caudal.ledger.ledger import Ledger
from caudal.serve.card import card_of
from caudal.serve.inputs import input_problem
from caudal.serve.minute_log import SentRows
from caudal.serve.predicting import answers, explanation, is_problem, with_lookups
from caudal.serve.row_streams import MOST_ROW_ERRORS
from caudal.serve.schemas import (
    Card,
    Failure,
    ImageBody,
    PredictQuery,
    Problems,
    answer_model,
    batch_models,
    image_answer_model,
    rows_model,
)
from caudal.serve.served import Served
from caudal.serve.streamed_batch import stream_of_request

MOST_ROWS = 1000
MOST_ERRORS = 100  # that the answer to a batch describes in full

Handler = Callable[[], Response]


@dataclass(frozen=True)
class Operations:
    """The operations of one champion: handlers by path, and their description."""

    handlers: dict[str, Handler]
    api: APIBlueprint


def operations(served: Served, ledger: Ledger, security: list[dict[str, list[str]]], *, images: bool = False) -> Operations:
    """Return the operations of a champion; an image operation is only described here, and answered in ``serve/uploads.py``."""
    name, output = f"{served.product}/{served.model}", served.signature.output
    api = APIBlueprint(
        f"{served.product}_{served.model}",
        __name__,
        url_prefix=f"/api/v1/{name}",
        abp_tags=[{"name": name, "description": f"{output.name}, version {served.version}"}],
        abp_security=security,
        abp_responses={code: Failure for code in (401, 404, 429, 503) if security or code != 401},
    )
    unit = f" in {output.unit}" if output.unit else ""
    all_good, with_errors = batch_models(served)
    bad_body: dict[int | str, type[BaseModel]] = {400: Failure, 413: Failure, 415: Failure}

    def predict(body: object, query: PredictQuery) -> Response:
        g.sent = SentRows(served, (body,))
        row = served.row(body)
        if not row.good:
            return _json({"errors": row.problems, "more_errors": row.more}, 422)
        g.sent = SentRows(served, (row.values,))
        answer = answers(served, [row.values])[0]
        if is_problem(answer):
            return _json({"errors": [answer], "more_errors": 0}, 422)
        answer = with_lookups(answer, row)
        return _json({**answer, "explanation": explanation(served, row.values)} if query.explain else answer)

    def predict_batch(body: object) -> Response:
        if not isinstance(body, list) or not 1 <= len(body) <= MOST_ROWS:
            sent = f"{len(body)} rows" if isinstance(body, list) else body
            error = {
                "row": None,
                **input_problem(None, "The body is not a list of rows.", sent, f"a list of 1 to {MOST_ROWS} rows"),
            }
            return _json({"errors": [error], "more_errors": 0, "predictions": []}, 422)
        return _batch(served, body)

    def card() -> Response:
        return _json(card_of(ledger, served))

    # The bodies' models are created at run time, so they cannot be annotations in the source.
    predict.__annotations__["body"] = served.inputs
    predict_batch.__annotations__["body"] = rows_model(served, MOST_ROWS)
    api.post(
        "/predict",
        summary=f"Predict {output.name}{unit}",
        description="One row in, one prediction out, by the version in production. With `?explain=true` also what each input contributed.",
        responses={200: answer_model(served), 422: Problems, **bad_body},
    )(predict)
    api.post(
        "/predict/batch",
        summary=f"Predict {output.name}{unit} for many rows",
        description=f"At most {MOST_ROWS} rows as JSON. If one is bad the status is 422, the errors name it, and the rest is predicted. "
        f"{MOST_ROW_ERRORS} errors of a row and {MOST_ERRORS} in all are described, further ones counted. "
        "Any number of rows as lines of JSON or an Arrow stream, which are answered as they come, as either of both by `Accept`; bad rows have a problem in their place.",
        responses={200: all_good, 422: with_errors, **bad_body, 406: Failure},
    )(predict_batch)
    if images:

        def predict_image(body: ImageBody) -> None:
            """Describe the operation in the OpenAPI document; `uploads` answers it."""

        predict_image.__annotations__["body"] = ImageBody
        api.post(
            "/predict/image",
            summary=f"Predict {output.name} from an image",
            description="As JSON, as the file `image` of a form, or as the bytes alone. The nearest training images come with the answer.",
            responses={200: image_answer_model(served), 422: Problems, **bad_body},
        )(predict_image)
    api.get("/card", summary="The model's card", description=Card.__doc__ or "", responses={200: Card})(card)
    return Operations(
        {
            "predict": lambda: predict(_body(), _query()),
            "predict/batch": lambda: stream_of_request(served) or predict_batch(_body()),
            "card": card,
        },
        api,
    )


def _batch(served: Served, body: list[object]) -> Response:
    errors: list[dict[str, Any]] = []
    more = 0
    rows = []
    for index, values in enumerate(body):
        row = served.row(values, most=min(MOST_ROW_ERRORS, MOST_ERRORS - len(errors)))
        rows.append(row)
        errors += [{"row": index, **problem} for problem in row.problems]
        more += row.more
    good = [index for index, row in enumerate(rows) if row.good]
    g.sent = SentRows(served, [row.values if row.good else sent for row, sent in zip(rows, body, strict=True)])
    predictions: list[object] = [None] * len(body)
    for index, answer in zip(good, answers(served, [rows[index].values for index in good]), strict=True):
        if not is_problem(answer):
            predictions[index] = with_lookups(answer, rows[index])
        elif len(errors) < MOST_ERRORS:
            errors.append({"row": index, **answer})
        else:
            more += 1
    if errors:
        errors.sort(key=lambda error: error["row"])
        return _json({"errors": errors, "more_errors": more, "predictions": predictions}, 422)
    return _json({"predictions": predictions})


def _query() -> PredictQuery:
    try:
        return PredictQuery.model_validate(request.args.to_dict())
    except ValidationError:
        raise BadRequest(f"explain is '{request.args['explain']}'; it can be true or false.") from None


def _body() -> object:
    if not request.is_json:
        raise UnsupportedMediaType("The body is not declared as JSON.")
    try:
        return current_app.json.loads(request.get_data(cache=False))
    except ValueError as error:
        raise BadRequest(f"The body is not JSON: {error}.") from None


def _json(document: object, status: int = 200) -> Response:
    response = jsonify(document)
    response.status_code = status
    return response
