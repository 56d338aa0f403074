"""An inspection as text, page, PDF and document; without the secrets that were planted."""

from __future__ import annotations

import json
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st
from tests.documents import check_document
from tests.unit.inspection.test_cloud import NOBODY
from typer.testing import CliRunner

import caudal as cd
from caudal.cli.app import app
from caudal.client.inspected import Inspection
from caudal.errors import DeclarationProblem, NotThere
from caudal.inspection.examine import examine
from caudal.inspection.fact import InspectionProbe, known, not_known
from caudal.inspection.masking import mask_setting, mask_text
from caudal.inspection.page import inspection_page, notebook_part
from caudal.inspection.scope import InspectionScope
from caudal.inspection.text import plain_text
from caudal.report.inspection_pdf import inspection_pdf
from caudal.report.terminal.console import console
from caudal.report.terminal.inspection import print_inspection

MARK = "Zq7"
FACTS = (
    known("plain", "Plain", "a <b> & #strong[c]", "d & e"),
    known("size", "Size", 25_274_736_640, "/proc/meminfo", "bytes"),
    known(
        "table",
        "Table",
        [{"name": "x/y", "size": 2048, "empty": None}, {"name": "\x1b[31mred", "size": None, "empty": None}],
        "looking",
        bytes_in=("size",),
    ),
    known("texts", "Texts", [f"word {number}" for number in range(20)], "counting"),
    not_known("lost", "Lost", "there is none"),
)


def document() -> Any:
    return examine(InspectionScope(environment={}), [InspectionProbe("all", "All", lambda _: FACTS)])


def test_text() -> None:
    lines = [line.rstrip() for line in plain_text(document()).splitlines()]
    assert "  Plain                           a <b> & #strong[c]  (d & e)" in lines
    assert "  Size                            23.5 GiB  (/proc/meminfo)" in lines
    assert "  Lost                            not found: there is none" in lines
    assert "    x/y       2.0 KiB" in lines
    assert "    ?[31mred" in lines


def test_page() -> None:
    page = inspection_page(document(), "body{}")
    assert "a &lt;b&gt; &amp; #strong[c]" in page
    assert "<b>" not in page
    assert "http" not in page.replace("https://www.w3.org", ""), "one file"
    assert '<td class="value missing">not found</td><td class="how">there is none</td>' in page
    assert "<th>empty</th>" not in page, "a column that holds nothing"
    assert "<details><summary>20</summary>" in page


def test_pdf_is_the_same_each_time() -> None:
    pytest.importorskip("typst")
    whole = document()
    pdf = inspection_pdf(whole)
    assert pdf.startswith(b"%PDF-")
    assert inspection_pdf(whole) == pdf


def test_terminal() -> None:
    out = StringIO()
    print_inspection(document(), console(out))
    text = out.getvalue()
    assert "and 8 more" in text
    assert "1 not, in" in text


def test_the_command_and_the_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["inspect", "--metadata", NOBODY, "--only", "resources", "--only", "cloud"]
    result = CliRunner().invoke(app, [*command, "--json", "--html", "a.html"])
    assert result.exit_code == 0, result.output
    check_document("inspect", json.loads(result.stdout))
    assert [section["name"] for section in json.loads(result.stdout)["sections"]] == ["resources", "cloud"]
    assert "Inspection of" in (tmp_path / "a.html").read_text()
    assert "Cores and memory" in CliRunner().invoke(app, command).stdout
    refused = CliRunner().invoke(app, ["inspect", "--only", "resource"])
    assert "Did you mean 'resources'?" in refused.stderr

    found = cd.inspect_environment(only=["resources"], metadata=NOBODY)
    assert found["resources"]["memory"] > 0
    assert found._repr_html_() == notebook_part(found.document)
    assert "CORES AND MEMORY" in repr(found)
    with pytest.raises(NotThere, match="The inspection has no section 'cloud'"):
        found["cloud"]
    with pytest.raises(DeclarationProblem):
        cd.inspect_environment(only=["clouds"])
    assert isinstance(found, Inspection)


SECRETS = {
    "AWS_SECRET_ACCESS_KEY": f"{MARK}-aws", "SPARK_DAEMON_JAVA_OPTS": f"-Xmx1g -Djavax.net.ssl.trustStorePassword={MARK}-java -Da=b",
    "http_proxy": f"http://anna:{MARK}-proxy@proxy:3128", "PYSPARK_SUBMIT_ARGS": f"--conf spark.hadoop.fs.s3a.secret.key={MARK}-submit --token {MARK}-token pyspark-shell",
    "CAUDAL_LEDGER": f"postgresql://anna:{MARK}-ledger@db/ledger", "SPARK_MASTER": "local[1]", "OUR_API_KEY": f"{MARK}-echoed", "HADOOP_ECHO": f"it is {MARK}-echoed",
    "AZURE_STORAGE": f"https://lake.blob.core.windows.net/x?sv=1&sig={MARK}-sas", "PATH": "/usr/bin:/bin",
}  # fmt: skip


@pytest.fixture
def planted(tmp_path: Path) -> dict[str, str]:
    """Variables that hold secrets, and folders of configuration that hold more."""
    (conf := tmp_path / "conf").mkdir()
    (conf / "spark-defaults.conf").write_text(
        f"spark.hadoop.fs.s3a.secret.key {MARK}-s3\nspark.ssl.keyPassword={MARK}-ssl\nspark.jdbc  jdbc:mysql://db/x?user=a&password={MARK}-jdbc\n"
        f"spark.driver.extraJavaOptions -Ddb.password={MARK}-driver -Xss1m\nspark.master local[1]\n"
    )
    (conf / "hive-site.xml").write_text(
        "<configuration><property><name>javax.jdo.option.ConnectionURL</name>"
        f"<value>jdbc:mysql://db/hive?user=a&amp;password={MARK}-hiveurl</value></property><property><name>javax.jdo.option.ConnectionPassword</name>"
        f"<value>{MARK}-hive</value></property></configuration>"
    )
    return {**SECRETS, "SPARK_CONF_DIR": str(conf)}


def test_planted_secrets_are_nowhere(planted: dict[str, str]) -> None:
    from caudal.kinds import PROBES

    whole = examine(InspectionScope(environment=planted, metadata=NOBODY), PROBES.values())
    out = StringIO()
    print_inspection(whole, console(out))  # type: ignore[arg-type]
    for text in (json.dumps(whole), plain_text(whole), inspection_page(whole), out.getvalue()):
        assert "spark.ssl.keyPassword" in text, "the settings are shown"
        assert MARK not in text, text[text.index(MARK) - 80 :][:120]


@pytest.mark.parametrize("output", [[], ["--json"], ["--html", "page.html"]], ids=["text", "json", "page"])
def test_planted_secrets_are_nowhere_in_what_the_script_prints(planted: dict[str, str], tmp_path: Path, output: list[str]) -> None:
    script = tmp_path / "caudal_inspect.py"
    script.write_text(CliRunner().invoke(app, ["inspect", "--script"]).stdout)
    command = [sys.executable, "-I", "-S", str(script), "--metadata", NOBODY, *output]
    done = subprocess.run(command, capture_output=True, text=True, env=planted, cwd=tmp_path, check=True)
    page = tmp_path / "page.html"
    text = done.stdout + done.stderr + (page.read_text() if page.exists() else "")
    assert "spark.ssl.keyPassword" in text
    assert MARK not in text, text[text.index(MARK) - 80 :][:120]


secret_values = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="\"',;&<>=:/@?#%\\{}*"), min_size=8, max_size=20
).map("Zq7".__add__)


@given(
    secret_values,
    st.sampled_from(["password", "spark.x.secret", "api-key", "TOKEN", "fs.azure.account.key"]),
    st.sampled_from(["-D{}={}", "--{} {}", "{}: {}", '"{}": "{}"', "a b {}={} c"]),
)
def test_options_within_texts_lose_their_secrets(value: str, name: str, form: str) -> None:
    assert value not in mask_text(f"before -Xmx1g {form.format(name, value)} after")
    assert mask_setting(name, value) == "***"


@given(st.text(max_size=200))
def test_any_text_can_be_masked(text: str) -> None:
    mask_text(text)
