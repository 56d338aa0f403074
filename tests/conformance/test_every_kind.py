"""Each folder of kinds, listed: a kind without an example fails here by its name.

Examples of kinds that have a conformance suite of their own are that suite's; the others are tried here.
"""

from __future__ import annotations

import bz2
import gzip
import importlib.util
import lzma
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any, get_args, get_type_hints

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

import caudal as cd
from caudal.cli import streams as commands
from caudal.console import create_console
from caudal.daemon.daemon import watchers_of
from caudal.declarations.mitigation import Mitigation
from caudal.declarations.outlet import Drop, Outlet, Topic
from caudal.declarations.product import Product
from caudal.discovery import Kinds
from caudal.kinds import (
    AUDIT_METRICS,
    EXECUTORS,
    FORMATS,
    GATES,
    MEASURES,
    METRICS,
    MITIGATIONS,
    NETWORKS,
    OUTLETS,
    PACKINGS,
    PAGES,
    RULES,
    SIMULATORS,
    WATCHERS,
    WIRES,
    WORDS,
)
from caudal.messaging.wire import Block, codec
from caudal.registry.trust import SAFE
from caudal.stages.audit.counts import count_groups, group_rows
from caudal.stages.audit.figures import Grouping, figures_by
from caudal.stages.ingest.packings import zip as zip_packing
from caudal.stages.ingest.raw import RawFile, format_of, packing_of, why_incomplete
from caudal.stages.metrics.judged import Judged
from caudal.stages.monitor.bins import Histogram, NumberBins
from caudal.stages.select.rule import CandidateScores, ComparedCandidates
from caudal.streaming.outlets import sender_of
from caudal.tables.home import Home

HERE = Path(__file__).parent
NUMBERS = Judged(pd.Series([1.0, 2.0, 4.0]), pd.DataFrame({"prediction": [1.0, 3.0, 3.0]}))
CLASSES = Judged(
    pd.Series(["no", "yes", "yes", "no"], dtype=object),
    pd.DataFrame(
        {
            "prediction": pd.Series(["no", "yes", "no", "no"], dtype=object),
            "probability_no": [0.5, 0.5, 0.75, 0.75],
            "probability_yes": [0.5, 0.5, 0.25, 0.25],
        }
    ),
    ("no", "yes"),
)
FIGURES = {
    "mae": 2 / 3, "rmse": (2 / 3) ** 0.5, "mape": 0.25, "r2": 1 - 2 / (14 / 3), "accuracy": 0.75, "error_rate": 0.25, "f1": 2 / 3,
    "log_loss": -np.log([0.5, 0.5, 0.25, 0.75]).mean(), "roc_auc": 0.5,
}  # fmt: skip
DRIFT = {  # of (2, 2) and (1, 3) rows in two bins, the second histogram with one null
    "psi": 0.2 * np.log(3.5 * 2.5 / (1.5 * 2.5)), "superiority": 0.625, "ks": 0.25, "wasserstein": 0.0, "chi_square": (8 / 15 / 8) ** 0.5,
    "jensen_shannon": 0.2208, "null_share": 0.2, "new_share": 0.75,
}  # fmt: skip
DECLARED_GATES = {
    "beats_baseline": (cd.beats_baseline(0.1), ()), "beats": (cd.beats("ridge"), ("ridge",)), "beats_champion": (cd.beats_champion(), ()),
    "trial": (cd.trial(), ()),
    "limit": (cd.limit("mae", 3), ("mae",)), "parity": (cd.parity("borough"), ("borough",)),
    "fair": (cd.fair("tpr", ["sex", "race"], at_most=0.1), ("sex", "race")),
}  # fmt: skip
# Of 2 true positives, 1 false positive, 3 false negatives and 4 true negatives; scores of the positives 0.55, of the others 0.25.
OF_CONFUSION = {
    "base_rate": 0.5, "selection_rate": 0.3, "tpr": 0.4, "fpr": 0.2, "fnr": 0.6, "tnr": 0.8, "precision": 2 / 3, "false_discovery_rate": 1 / 3,
    "false_omission_rate": 3 / 7, "npv": 4 / 7, "accuracy": 0.6, "error_rate": 0.4,
    "calibration_error": (abs(3 * 0.55 - 2) + abs(7 * 0.25 - 3)) / 10, "calibration_bias": (3 * 0.55 + 7 * 0.25 - 5) / 10,
}  # fmt: skip
OF_ERRORS = {"mae": 2.0, "rmse": 5**0.5, "bias": -1.0}  # of 1, −3
# Between that group and one of 4 true positives, 2 false positives, 1 false negative and 3 true negatives.
BETWEEN_GROUPS = {
    "demographic_parity_difference": 0.3, "demographic_parity_ratio": 0.5, "equal_opportunity_difference": 0.4, "equalized_odds_difference": 0.4,
    "equalized_odds_ratio": 0.5,
}  # fmt: skip
MITIGATED = {
    "reweigh": cd.reweigh(LogisticRegression(), by="sex"), "group_thresholds": cd.group_thresholds(LogisticRegression(), by="sex"),
    "reduction": cd.reduction(LogisticRegression(), by=["sex", "race"]),
}  # fmt: skip
DECLARED_RULES = {
    "best_mean": cd.best_mean(), "best_worst": cd.best_worst(), "most_stable": cd.most_stable(0.1), "smallest_regret": cd.smallest_regret(),
    "simplest_within": cd.simplest_within(2),
}  # fmt: skip
ENDINGS = {"parquet": ".pq", "csv": ".tsv", "json": ".ndjson", "avro": ".avro", "excel": ".ods", "fixed_width": ".fwf"}
CONTENT = b"a,b\n1,2\n" * 50


def zipped(content: bytes) -> bytes:
    with zipfile.ZipFile(held := BytesIO(), "w") as archive:
        archive.writestr("rows.csv", content)
    return held.getvalue()


PACK: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zip": zipped,
    ".zst": lambda content: bytes(pa.compress(content, codec="zstd", asbytes=True)),
}  # fmt: skip
ON_ARRIVAL: dict[str, Callable[[Product], object]] = {
    "files": lambda product: product.source("s", cd.files("*.csv"), trigger=cd.on_arrival()),
    "objects": lambda product: product.source("s", cd.files("s3://bucket/*.csv"), trigger=cd.on_arrival()),
    "images": lambda product: product.source("s", cd.images("*.jpg"), trigger=cd.on_arrival()),
    "rows": lambda product: product.source("s", cd.database("sqlite:///a.db", table="t", watermark="at"), trigger=cd.on_arrival()),
    "requests": lambda product: product.source("s", cd.requests("m"), trigger=cd.on_arrival()),
    "tables": lambda product: product.schedule(cd.on_publish("other", "rows")),
    "clock": lambda product: product.schedule(cd.every("hour")),
    "alarms": lambda product: product.model(
        "m", features="rows", label="y", candidates={}, split=cd.temporal(test="1 day"), retrain="drift"
    ),
}
PATHS = {"streams": "/", "live": "/live/eeg", "runs": "/runs", "monitors": "/monitors", "service_levels": "/service-levels"}
PLACES = {"drop": Drop("out"), "topic": Topic("rows")}
MOST_BYTES = {"here": 8 << 20, "spark": 128 << 20}


def suite(name: str) -> ModuleType:
    """Return a test module of this folder."""
    spec = importlib.util.spec_from_file_location(f"examples_of_{name}", HERE / f"test_{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


EXAMPLES: dict[str, Callable[[], Iterable[str]]] = {
    "expectations": lambda: suite("expectations").EXAMPLES,
    # A case is named by its feature, and by what is special about it.
    "features": lambda: (
        {name.split()[0] for name in suite("features").CASES} & {name.split()[0] for name in suite("features_future").WORLDS}
    ),
    "detectors": lambda: suite("detectors").DECLARED,
    "sources": lambda: suite("sources").EXAMPLES,
    "stream_sources": lambda: suite("streams").SENDERS,
    "metrics": lambda: FIGURES,
    "gates": lambda: DECLARED_GATES,
    "measures": lambda: DRIFT,
    "selection_rules": lambda: DECLARED_RULES,
    "audit_metrics": lambda: {**OF_CONFUSION, **OF_ERRORS, **BETWEEN_GROUPS},
    "mitigations": lambda: MITIGATED,
    "simulators": lambda: ["eeg", "recording", "robot", "stocks", "traffic", "weather"],
    "networks": lambda: ["efficientnet-lite0"],
    "formats": lambda: ENDINGS,
    "packings": lambda: PACK,
    "wires": lambda: ["packed", "json", "avro"],
    "outlets": lambda: PLACES,
    "stream_executors": lambda: MOST_BYTES,
    "watchers": lambda: ON_ARRIVAL,
    "console_pages": lambda: PATHS,
    # What each finds on machines of several kinds: tests/unit/inspection.
    "probes": lambda: [
        "host",
        "cloud",
        "platform",
        "resources",
        "disks",
        "network",
        "gpu",
        "java",
        "python",
        "spark",
        "session",
        "applications",
        "cluster",
        "metastore",
        "catalog",
        "variables",
    ],
    "debts": lambda: suite("debts").EXAMPLES,
    # Held against one another in tests/unit/tables/test_view_places.py.
    "view_places": lambda: ["sqlite", "postgresql", "redis"],
    # Read, drawn, refused and broken: tests/unit/compare, tests/flow/test_compare.py, and services in test_compare_services.py and test_compare_emr.py; the notebook in test_colab.py.
    "platforms": lambda: ["here", "sail", "local", "rapids", "cluster", "hosts", "master", "connect", "databricks", "emr", "colab"],
    "faults": lambda: ["kill-worker", "cut-network", "kill-driver", "full-disk", "less-memory", "lose-gpu"],
    # Both are compared with the pipelines themselves bit by bit in tests/unit/compiled, which holds that each has an example there.
    "compiled_parts": lambda: ["categories", "chain", "columns", "fill", "linear", "scale", "single_trees", "trees"],
    "compilers": lambda: [
        "column_transformers",
        "encoders",
        "forests",
        "gradient_boosting",
        "histogram_boosting",
        "imputers",
        "lightgbm",
        "linear_models",
        "pipelines",
        "scalers",
        "xgboost",
    ],
}


def test_every_folder_of_kinds_is_listed() -> None:
    assert set(Kinds.every) == set(EXAMPLES)


@pytest.mark.parametrize("group", EXAMPLES)
def test_every_kind_has_an_example(group: str) -> None:
    kinds, examples = set(Kinds.every[group].own()), set(EXAMPLES[group]())
    assert kinds, f"nothing is found in {Kinds.every[group].folder}"
    assert kinds - examples == set(), f"kinds of {Kinds.every[group].folder} without an example"
    assert examples - kinds == set(), "examples of kinds that there are not"


@pytest.mark.parametrize("kinds", WORDS, ids=lambda kinds: kinds.group)
def test_what_products_call_is_named_as_its_file(kinds: Kinds[Any]) -> None:
    assert [name for name in kinds.own() if not kinds.has_file(name)] == []
    assert all(callable(getattr(cd, name)) for name in kinds.own())


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_gives_what_is_computed_by_hand(name: str) -> None:
    metric = METRICS[name]
    judged = NUMBERS if metric.task == "regression" else CLASSES
    assert metric.score(judged) == pytest.approx(FIGURES[name])
    assert metric.better in ("lower", "higher")


@pytest.mark.parametrize("name", MEASURES)
def test_a_measure_gives_what_is_computed_by_hand(name: str) -> None:
    measure = MEASURES[name]
    found = measure.compare(NumberBins((0.0,)), Histogram((2, 2)), Histogram((1, 3), 1))
    assert found == pytest.approx(DRIFT[name], abs=1e-4)
    assert measure.side in ("high", "low", "both")


@pytest.mark.parametrize("kind", GATES)
def test_a_gate_says_what_it_asks_for(kind: str) -> None:
    gate, asked = DECLARED_GATES[kind]
    assert isinstance(gate, GATES[kind])
    assert (*gate.metrics, *gate.candidates, *gate.columns) == asked
    assert gate.asks_champion == (kind == "beats_champion")
    assert "Return a gate" in (getattr(cd, kind).__doc__ or "")


@pytest.mark.parametrize("kind", RULES)
def test_a_rule_chooses_one_and_says_why(kind: str) -> None:
    rule = DECLARED_RULES[kind]
    assert isinstance(rule, RULES[kind])
    assert getattr(cd, kind)().kind == kind, "without arguments too: rules are compared with one another"
    compared = ComparedCandidates("mae", True, (CandidateScores("a", (1.0, 2.0), 3), CandidateScores("b", (2.0, 3.0), None)))
    ranked = rule.rank(compared)
    assert ranked[0] == "a"
    assert "a" in rule.reason(compared, ranked)
    assert "Return the rule that chooses" in (getattr(cd, kind).__doc__ or "")


def of_two_groups(metric: str) -> Grouping:
    cells = {("a", "yes", "yes"): 2, ("a", "no", "yes"): 1, ("a", "yes", "no"): 3, ("a", "no", "no"): 4,
             ("b", "yes", "yes"): 4, ("b", "no", "yes"): 2, ("b", "yes", "no"): 1, ("b", "no", "no"): 3}  # fmt: skip
    rows = pd.DataFrame([cell for cell, times in cells.items() for _ in range(times)], columns=["group", "label", "prediction"])
    share = np.where(rows["prediction"] == "yes", 0.55, 0.25)
    predicted = rows[["prediction"]].assign(probability_no=1 - share, probability_yes=share)
    counts = count_groups(group_rows(rows[["group"]]), rows["label"], predicted, classes=("no", "yes"))
    return figures_by(counts, ["group"], [AUDIT_METRICS[metric]], min_rows=1, resamples=20)


@pytest.mark.parametrize("name", AUDIT_METRICS)
def test_a_fairness_metric_gives_what_is_computed_by_hand(name: str) -> None:
    metric = AUDIT_METRICS[name]
    assert metric.description
    if name in OF_ERRORS:
        groups, label = pd.DataFrame({"group": ["a", "a"]}), pd.Series([1.0, 5.0])
        counts = count_groups(group_rows(groups), label, pd.DataFrame({"prediction": [2.0, 2.0]}), classes=None)
        (group,) = figures_by(counts, ["group"], [metric], min_rows=1, resamples=20).groups
        assert group.figures[name].value == pytest.approx(OF_ERRORS[name])
    elif name in OF_CONFUSION:
        assert of_two_groups(name).groups[0].figures[name].value == pytest.approx(OF_CONFUSION[name])
    else:
        assert of_two_groups(name).between[name].figure.value == pytest.approx(BETWEEN_GROUPS[name])


@pytest.mark.parametrize("name", MITIGATIONS)
def test_a_mitigation_is_an_estimator_around_another(name: str) -> None:
    candidate = MITIGATED[name]
    assert isinstance(candidate, Mitigation)
    assert clone(candidate).get_params().keys() == candidate.get_params().keys()
    assert f"{type(candidate).__module__}.{type(candidate).__qualname__}" in SAFE
    assert "Return a candidate" in (getattr(cd, name).__doc__ or "")


@pytest.mark.parametrize("name", [name for name in SIMULATORS if name != "recording"])  # a recording needs its file
def test_a_simulator_plays(name: str) -> None:
    played = SIMULATORS[name](seed=1)
    assert len(next(iter(played.blocks(0, 64)))) > 0


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_known_by_its_name(name: str) -> None:
    assert cd.network(name).sha256 is None
    assert len(NETWORKS[name].sha256) == 64


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_told_by_its_ending(name: str) -> None:
    format = FORMATS[name]
    assert ENDINGS[name] in format.ENDINGS
    assert format_of(f"rows{ENDINGS[name].upper()}") == name
    assert all(hasattr(format, attribute) for attribute in ("inspect", "frame", "OPTIONS"))


@pytest.mark.parametrize("ending", PACKINGS)
def test_a_packing_is_seen_and_taken_off(ending: str, tmp_path: Path) -> None:
    (file := tmp_path / f"rows.csv{ending}").write_bytes(packed := PACK[ending](CONTENT))
    assert packing_of(file.name) == ending
    assert why_incomplete(file, "csv") is None
    module = PACKINGS[ending]
    if module is not zip_packing:
        with module.open_file(file) as stream:
            assert stream.read() == CONTENT
    (broken := tmp_path / f"broken.csv{ending}").write_bytes(b"no" + packed)
    assert "does not begin with" in (why_incomplete(broken, "csv") or "")


@pytest.mark.parametrize("wire", WIRES)
def test_a_wire_gives_back_what_it_took(wire: str) -> None:
    block = Block(3, np.array([7], np.int64), np.array([1_000_000], np.int64), np.array([[1.5, -2.0]], np.float32))
    (message,) = codec(wire).encode(block)
    (again,) = codec(wire).decode(message)
    assert again.same(block)


@pytest.mark.parametrize("kind", OUTLETS)
def test_an_outlet_has_a_sender(kind: str, tmp_path: Path) -> None:
    place = PLACES[kind]
    assert place.kind == kind
    sender = sender_of(Outlet("o", "rows", place, "at least once", Product("p").where), "p", tmp_path)
    if kind == "drop":
        sender.send(0, pa.table({"a": [1]}))
        assert [file.read_text() for file in (tmp_path / "out").iterdir()] == ['{"a":1}\n']
        assert sender.upto() == 0
    sender.close()


def test_executors_keep_their_memory() -> None:
    assert {name: executor.MOST_BYTES for name, executor in EXECUTORS.items()} == MOST_BYTES


@pytest.mark.parametrize("name", WATCHERS)
def test_a_watcher_looks_out_for_its_trigger_alone(name: str, tmp_path: Path) -> None:
    ON_ARRIVAL[name](product := Product("p"))
    (watcher,) = watchers_of(product, Home(tmp_path, None), tmp_path, 0.0)
    assert type(watcher).__module__ == f"caudal.daemon.watchers.{name}"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_shown_at_its_path(name: str, tmp_path: Path) -> None:
    client = create_console(tmp_path).test_client()
    asked = {"output": "page.children", "outputs": {"id": "page", "property": "children"}, "inputs": [{"id": "address", "property": "pathname", "value": PATHS[name]}], "changedPropIds": ["address.pathname"]}  # fmt: skip
    shown = client.post("/_dash-update-component", json=asked)
    assert shown.status_code == 200
    assert "There is no page" not in shown.text
    page = PAGES[name]
    assert page.title is None or f">{page.title}</a>" in client.get("/").text


@pytest.mark.parametrize(("option", "kinds"), [("wire", WIRES), ("on", EXECUTORS)])
def test_commands_offer_all_kinds(option: str, kinds: Kinds[Any]) -> None:
    hints = get_type_hints(commands.replay_command if option == "wire" else commands.stream_command)
    offered = {value for part in (hints[option], *get_args(hints[option])) for value in get_args(part) if isinstance(value, str)}
    assert offered == set(kinds.own())


@pytest.mark.slow
def test_a_new_file_in_a_folder_is_found_without_another_line(tmp_path: Path) -> None:
    """Lay a file into a copy of caudal, and ask for it there."""
    import shutil

    source = Path(cd.__file__).parent
    shutil.copytree(source, tmp_path / "caudal", ignore=shutil.ignore_patterns("__pycache__", "assets", "templates"))
    (tmp_path / "caudal" / "stages" / "metrics" / "worst.py").write_text(
        "from caudal.stages.metrics.judged import Judged, Metric\n\n\n"
        'METRIC = Metric("worst", "regression", "lower", lambda judged: float(judged.absolute_error.max()))\n'
    )
    asked = "import caudal; from caudal.declarations.metrics import METRICS; print(caudal.__file__, METRICS['regression']['worst'])"
    done = subprocess.run(
        [sys.executable, "-c", asked], cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True
    )
    assert done.stdout.split() == [str(tmp_path / "caudal" / "__init__.py"), "lower"], done.stderr


def test_a_file_that_is_no_raw_file_is_told(tmp_path: Path) -> None:
    (file := tmp_path / "0123456789abcdef.parquet").write_bytes(b"PAR1")
    assert why_incomplete(RawFile(file, "0" * 64, "a.parquet").path, "parquet") == "is truncated: it has no Parquet footer"
