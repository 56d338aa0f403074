"""Predictions from images: by the API (a file, or JSON with base64), and by a page that shows the nearest training images."""

from __future__ import annotations

import base64
import binascii

from flask import Flask, Response, abort, g, jsonify, render_template, request
from werkzeug.exceptions import BadRequest

from caudal.errors import NotThere
from caudal.serve.champion_cache import ChampionCache
from caudal.serve.image_featurizer import MOST_PIXELS, NEAREST, FeaturizerOf, ImageFeaturizer
from caudal.serve.inputs import Problem, Row, input_problem
from caudal.serve.minute_log import SentRows
from caudal.serve.predicting import is_problem
from caudal.serve.request_log import log_answers
from caudal.serve.served import Served
from caudal.serve.trial import trial_answers
from caudal.stages.images.decode import UnreadableImage, thumbnail
from caudal.web.server import MOST_BYTES

MOST_IMAGE_BYTES = 3 * MOST_BYTES  # of a request; base64 is a third larger than the image


def offer_uploads(app: Flask, champions: ChampionCache, featurizer_of: FeaturizerOf) -> None:
    """Add the routes for predictions from images to an app."""
    app.jinja_env.globals["featurizer_of"] = featurizer_of
    app.extensions["body limits"] = {"predict_image": MOST_IMAGE_BYTES, "image_page": MOST_IMAGE_BYTES}

    def image_model(product: str, model: str) -> tuple[Served, ImageFeaturizer]:
        served = champions.get(product, model)
        featurizer = featurizer_of(served)
        if featurizer is None:
            raise NotThere(
                f"'{product}/{model}' does not take images.", fix=f"POST its inputs to /api/v1/{product}/{model}/predict."
            )
        return served, featurizer

    @app.route("/api/v1/<product>/<model>/predict/image", methods=["POST"])
    def predict_image(product: str, model: str) -> Response:
        served, featurizer = image_model(product, model)
        answer = _predict_image(served, featurizer, image_of_request())
        response = jsonify({"errors": [answer], "more_errors": 0} if is_problem(answer) else answer)
        response.status_code = 422 if is_problem(answer) else 200
        return response

    @app.route("/<product>/<model>/image", methods=["POST"])
    def image_page(product: str, model: str) -> str | tuple[str, int]:
        served, featurizer = image_model(product, model)
        file = request.files.get("image")
        content = file.read() if file else b""
        answer = _predict_image(served, featurizer, content)
        if is_problem(answer):
            return render_template("image.html", served=served, fault=answer), 422
        return render_template("image.html", served=served, answer=answer, picture=_picture(featurizer, content))

    @app.route("/<product>/<model>/images/<sha256>.jpg", methods=["GET"])
    def training_image(product: str, model: str, sha256: str) -> Response:
        _, featurizer = image_model(product, model)
        small = featurizer.thumbnail(sha256)
        if small is None:
            abort(404)
        return Response(small, content_type="image/jpeg", headers={"Cache-Control": "private, max-age=86400"})


def _predict_image(served: Served, featurizer: ImageFeaturizer, content: bytes) -> dict[str, object] | Problem:
    """Return the model's answer for an image, with the nearest training images, or the problem."""
    try:
        row = featurizer.row(content)
    except UnreadableImage as error:
        return input_problem("image", f"The image {error}.", f"{len(content):,} bytes", "a JPEG, PNG, WebP, GIF, BMP or TIFF")
    g.sent = SentRows(served, (row,))
    answer = trial_answers(served, [row], [row], request.environ)[0]
    if is_problem(answer):
        return answer
    log_answers(served, [(0, Row(values=dict(row)), answer)])
    address = f"/{served.product}/{served.model}/images"
    near = [
        {"label": neighbour.label, "distance": neighbour.distance, "image": f"{address}/{neighbour.sha256}.jpg"}
        for neighbour in featurizer.nearest(row, NEAREST)
    ]
    return {**answer, "nearest": near}


def image_of_request() -> bytes:
    """Return a request's image: a file of a form, JSON with base64, or the body itself."""
    if request.mimetype == "multipart/form-data":
        file = request.files.get("image")
        if file is None:
            raise BadRequest("The form has no file 'image'.")
        return bytes(file.read())
    if not request.is_json:
        return request.get_data(cache=False)
    document = request.get_json(silent=True)
    if not isinstance(document, dict) or not isinstance(document.get("image"), str):
        raise BadRequest('The body is no object with a text "image".')
    try:
        return base64.b64decode(document["image"].partition("base64,")[2] or document["image"], validate=True)
    except (binascii.Error, ValueError):
        raise BadRequest('"image" is not base64.') from None


def _picture(featurizer: ImageFeaturizer, content: bytes) -> str:
    """Return an image at the network's size, for a page."""
    return "data:image/jpeg;base64," + base64.b64encode(thumbnail(content, featurizer.side, MOST_PIXELS)).decode()
