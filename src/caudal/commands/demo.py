"""``caudal demo``: the taxi product, from raw trips to a served prediction."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from caudal.batch.batch import run
from caudal.declarations.settings import Settings
from caudal.errors import CaudalError, EnvironmentProblem
from caudal.extras import require
from caudal.report.terminal import TerminalProgress, print_summary
from caudal.runtime.opening import open_home
from caudal.runtime.progress import NoProgress, Progress
from caudal.serve.app import create_app
from caudal.serve.champion_cache import ChampionCache
from caudal.web.server import serve_in_thread

# NYC Taxi & Limousine Commission, trip record data.
OFFICIAL = "https://d37ci6vzurychx.cloudfront.net"
MONTHS = ("2023-01", "2023-02")
TRIPS = "green_taxi"


@dataclass(frozen=True)
class DemoTrips:
    """The trips that the demo uses, with a sentence for the user."""

    kind: str  # given | official | simulated
    folder: Path
    sentence: str


def prepare_trips(settings: Settings, *, simulate: bool) -> DemoTrips:
    """Return the folder of raw trips: the given one, else the official months, else simulated ones."""
    if settings.data is not None:
        # A folder of several data sets, as CAUDAL_DATA often is, has the trips in a subfolder.
        trips_folder = next((place for place in (settings.data, settings.data / TRIPS) if _holds_trips(place)), settings.data)
        return DemoTrips("given", trips_folder, f"Input: the files in {trips_folder}.")
    folder = settings.home / "demo-data"
    if not simulate and (months := _official(folder / "official")):
        return DemoTrips(
            "official",
            folder / "official",
            f"Input: the official green-taxi trips of {' and '.join(months)}, fetched from the city's data server.",
        )
    why = "as asked" if simulate else "the official files cannot be reached from here"
    return DemoTrips("simulated", _simulated(folder / "simulated"), f"Input: SIMULATED trips, not real ones ({why}).")


def _holds_trips(folder: Path) -> bool:
    return any(file.is_file() for file in folder.glob("green_*"))


def product_folder() -> Path:
    """Return the taxi product: of the installed package, or of the repository.

    Raises
    ------
    EnvironmentProblem : neither exists
    """
    package = Path(__file__).parents[1]
    for folder in (package / "_products" / "taxi", package.parents[1] / "products" / "taxi"):
        if (folder / "product.py").is_file():
            return folder
    raise EnvironmentProblem("The taxi product is not part of this installation.", fix="Install caudal again.")


def serve_and_predict(settings: Settings, product: str, port: int, keep: bool, on_answers: Any) -> list[dict[str, Any]]:
    """Serve the champions and return one example prediction of each from the API; with ``keep`` go on serving."""
    home = open_home(settings)
    app = create_app(home.path, home.url, product=product, trust=settings.trust, lake=home.elsewhere, online=home.views_url)
    champions: ChampionCache = app.extensions["caudal"]
    with serve_in_thread(app, port=port) as url:
        answers = [_request_prediction(url, product, served.model, served.asked.example_row) for served in champions.all()]
        on_answers(url, answers)
        while keep:
            time.sleep(3600)
    return answers


def demo(settings: Settings, *, as_json: bool, keep: bool, port: int, simulate: bool) -> None:
    """Run the taxi product, serve its champions and print the results."""
    trips = prepare_trips(settings, simulate=simulate)
    settings = replace(settings, data=trips.folder)
    if not as_json:
        print(trips.sentence)
    progress: Progress
    if as_json:
        result = run(product_folder(), settings, progress=NoProgress())
    else:
        with TerminalProgress() as progress:
            result = run(product_folder(), settings, progress=progress)
        print_summary(result.document)
    if result.error is not None:
        raise result.error
    product = str(result.document["product"])

    def show_answers(url: str, answers: list[dict[str, object]]) -> None:
        if as_json:
            print(
                json.dumps(
                    {
                        **result.document,
                        "demo": {"input": trips.kind, "data": str(trips.folder), "url": url, "predictions": answers},
                    },
                    indent=2,
                    default=str,
                )
            )
            return
        for answer in answers:
            print(f"\nPOST {answer['url']}\n  {json.dumps(answer['asked'])}\n  → {json.dumps(answer['answer'])}")
        print(f"\nWeb app: {url}   (form, API with OpenAPI, model cards)\nRun page: {result.document['page']}")
        if keeps_serving:
            print("Ctrl-C ends it.", flush=True)

    keeps_serving = keep and not as_json and sys.stdout.isatty()
    try:
        serve_and_predict(settings, product, port, keeps_serving, show_answers)
    except KeyboardInterrupt:
        print(f"\nEnded. Serve again with: caudal serve --home {settings.home}")


def _request_prediction(url: str, product: str, model: str, example: Mapping[str, object]) -> dict[str, object]:
    address = f"{url.rstrip('/')}/api/v1/{product}/{model}/predict"
    request = urllib.request.Request(address, json.dumps(example).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return {"model": model, "url": address, "asked": example, "answer": json.load(answer)}
    except urllib.error.HTTPError as error:
        raise CaudalError(f"The web app refused its own example: {error.read().decode()[:300]}") from None


def _official(folder: Path) -> list[str]:
    """Fetch the official months and return them; an empty list when the server cannot be reached."""
    files = {f"green_tripdata_{month}.parquet": f"{OFFICIAL}/trip-data/green_tripdata_{month}.parquet" for month in MONTHS}
    files["taxi_zone_lookup.csv"] = f"{OFFICIAL}/misc/taxi_zone_lookup.csv"
    folder.mkdir(parents=True, exist_ok=True)
    for name, address in files.items():
        if (folder / name).is_file():
            continue
        part = folder / f".{name}.part"
        try:
            with urllib.request.urlopen(address, timeout=5) as answer, part.open("wb") as target:
                shutil.copyfileobj(answer, target)
        except OSError:
            part.unlink(missing_ok=True)
            return []
        part.replace(folder / name)
    return list(MONTHS)


def _simulated(folder: Path) -> Path:
    """Write simulated trips with a fixed seed, unless they exist, and return their folder."""
    if not (folder / "truth.json").is_file():
        require("faker", extra="demo", for_="Simulating trips")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        spec = importlib.util.spec_from_file_location("caudal_taxi_simulate", product_folder() / "simulate.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        module.write(folder, seed=0)
    return folder
