"""Secrets: what shows them, what stores them, and how addresses are read."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from hypothesis import given, strategies as st

import caudal as cd
from caudal.declarations.settings import Settings
from caudal.errors import CaudalError, DeclarationProblem
from caudal.graph.fingerprint import describe
from caudal.secret import Address, Secret, redact, redacted, shown
from caudal.secret.value import forget_secrets

HUSH = "Zq7-hush-9x"
SCHEMES = ("http", "https", "sftp", "s3", "postgresql", "mysql+pymysql", "smtp+starttls", "webhdfs")


def test_a_secret_shows_in_no_text_and_is_not_stored() -> None:
    secret = Secret(HUSH)
    assert {str(secret), repr(secret), f"{secret}", f"{secret!r}", f"{[secret]}".strip("[]")} == {"***"}
    with pytest.raises(TypeError, match="not stored"):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        json.dumps({"password": secret})
    assert copy.deepcopy({"password": secret})["password"].reveal() == HUSH
    assert secret == Secret(HUSH) != Secret("another-one")
    assert describe({"password": secret}) == describe({"password": Secret("another-one")})


@pytest.mark.parametrize(
    "written",
    [HUSH, "a b&Q7/hush", "q\"uote's-hush", "ünï-cöde/hush"],
)
def test_a_text_that_repeats_a_secret_is_cleared_of_it_however_it_is_written(written: str) -> None:
    from base64 import b64encode
    from html import escape
    from urllib.parse import quote, quote_plus

    Secret(written, user="ann")
    forms = [
        written,
        quote(written, safe=""),
        quote_plus(written),
        escape(written),
        repr({"x": written}),
        json.dumps({"x": written}),
    ]
    forms.append(f"Basic {b64encode(f'ann:{written}'.encode()).decode()}")
    for form in forms:
        cleared = redact(f"<{form}>")
        assert written not in cleared, form
        assert "***" in cleared, form
    assert redacted({written: [written, 1, None]}) == {written: ["***", 1, None]}


def test_words_are_cleared_where_they_stand_alone_and_short_ones_and_names_stay() -> None:
    Secret("postgres")
    Secret("abc")
    Secret("anna-the-user", user="anna-the-user")
    assert redact("postgresql://host of abc, postgres, anna-the-user") == "postgresql://host of abc, ***, anna-the-user"


def test_an_error_says_no_secret_in_any_of_its_parts() -> None:
    Secret(HUSH)
    error = CaudalError(f"a {HUSH}", where=f"b {HUSH}", nearest=f"c{HUSH}", fix=f"d {HUSH}", url=f"e {HUSH}")
    assert HUSH not in str(error)
    assert HUSH not in json.dumps(error.as_dict())


@given(
    scheme=st.sampled_from(SCHEMES),
    password=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12).map(lambda word: f"Zq7{word}h9"),
    path=st.sampled_from(["", "/in/*.csv", "/a?x=1", "/a?x=1#part"]),
)
def test_no_password_is_shown_and_each_is_read_right_or_refused(scheme: str, password: str, path: str) -> None:
    try:
        address = Address(f"{scheme}://ann:{password}@host.example:9{path}")
        from urllib.parse import unquote, urlsplit

        if set("/?#") & set(password):
            assert address.fault
        else:
            assert not address.fault
            assert address.password is not None
            assert (address.user, address.password.reveal()) == ("ann", unquote(password))
            assert address.shown == f"{scheme}://ann@host.example:9{path}"
            parts = urlsplit(address.escaped)
            assert (unquote(parts.username or ""), unquote(parts.password or "")) == ("ann", unquote(password))
        assert password not in address.shown
        assert password not in redact(f"{scheme}://ann:{password}@host.example:9{path} failed")
    finally:
        forget_secrets()


@pytest.mark.parametrize("sign", ["/", "?", "#"])
@pytest.mark.parametrize(
    "declare",
    [
        lambda login: cd.files(f"sftp://{login}@host/in/*.csv"),
        lambda login: cd.images(f"sftp://{login}@host/in/*.jpg"),
        lambda login: cd.http(f"https://{login}@host/a.csv"),
        lambda login: cd.http("https://host/b.csv", f"http://{login}@host:9/a.csv"),
        lambda login: cd.database(f"postgresql://{login}@host/shop", table="t"),
        lambda login: cd.warehouse(f"postgresql://{login}@host/shop"),
        lambda login: cd.webhook(f"https://{login}@host/hook"),
        lambda login: Settings(ledger=f"postgresql://{login}@host/shop"),
        lambda login: Settings(warehouse=f"postgresql://{login}@host/shop"),
        lambda login: Settings(smtp=f"smtps://{login}@host"),
        lambda login: Settings(smtp=f"{login}@host"),
        lambda login: Settings(luigi=f"http://{login}@host"),
        lambda login: Settings(openlineage={"url": f"http://{login}@host"}),
    ],
)
def test_a_password_with_an_unescaped_sign_is_refused_without_a_piece_of_it(declare: Any, sign: str) -> None:
    with pytest.raises(DeclarationProblem, match="two ways") as raised:
        declare(f"anna:LEFTHUSH{sign}RIGHTHUSH")
    for said in (str(raised.value), json.dumps(raised.value.as_dict())):
        assert "LEFTHUSH" not in said
        assert "RIGHTHUSH" not in said
    assert "%2F" in str(raised.value)
    assert raised.value.where is None or "test_secret.py" in raised.value.where


def test_what_has_no_password_is_read_as_ever() -> None:
    for plain in (
        "s3://lake/a@b/*.csv",
        "sftp://ann@host:22/in/x@y.csv",
        "https://host/@team/a.csv?mail=x@y",
        "sqlite:////home/x@y/db",
    ):
        address = Address(plain)
        assert (address.fault, address.shown, address.escaped) == (None, plain, plain)


@pytest.mark.parametrize(
    ("declared", "part"),
    [
        (lambda: cd.files(f"sftp://ann:{HUSH}@h/in/*.csv"), "sftp://ann@h/in/*.csv"),
        (lambda: cd.files("s3://b/*.csv", storage={"secret": HUSH, "client_kwargs": {"aws_session_token": HUSH}}), "s3://b/*.csv"),
        (lambda: cd.files("a.zip", password=HUSH), "a.zip"),
        (lambda: cd.images(f"sftp://ann:{HUSH}@h/in/*.jpg", storage={"passphrase": HUSH}), "sftp://ann@h/in/*.jpg"),
        (lambda: cd.http(f"https://ann:{HUSH}@h/a.csv"), "https://ann@h/a.csv"),
        (lambda: cd.http(f"https://{HUSH}@h/a.csv"), "https://h/a.csv"),
        (lambda: cd.http(f"https://h/a.csv?x=1&X-Amz-Signature={HUSH}"), "https://h/a.csv?x=1"),
        (lambda: cd.http("https://h/a.csv", headers={"X-Api-Key": HUSH}, params={"token": HUSH}, auth=("ann", HUSH)), "ann"),
        (lambda: cd.http("https://h/a.csv", auth=HUSH), "https://h/a.csv"),
        (lambda: cd.kafka("t", channels=["x"], **{"kafka.sasl.jaas.config": HUSH, "kafka.ssl.key.password": HUSH}), "kafka.ssl.key.password"),
        (lambda: cd.database(f"postgresql://ann:{HUSH}@h/shop?sslpassword={HUSH}", table="t"), "postgresql://ann@h/shop"),
        (lambda: cd.database(f"jdbc:postgresql://h/shop?user=ann&password={HUSH}", table="t"), "jdbc:postgresql://h/shop?user=ann"),
        (lambda: cd.warehouse(f"postgresql://ann:{HUSH}@h/shop"), "postgresql://ann@h/shop"),
        (lambda: cd.webhook(f"https://h/services/T0/{HUSH}"), "***"),
        (lambda: Settings(ledger=f"postgresql://ann:{HUSH}@h/shop", smtp=f"smtps://ann:{HUSH}@h", key=HUSH,
                          spark={"spark.hadoop.fs.s3a.secret.key": HUSH}), "smtps://ann@h"),
    ],
)  # fmt: skip
def test_what_is_declared_shows_and_describes_no_secret(declared: Any, part: str) -> None:
    connection = declared()
    described = "" if isinstance(connection, Settings) else str(describe(connection))  # settings are no part of a fingerprint
    for text in (repr(connection), str(connection), described):
        assert HUSH not in text
    assert part in repr(connection)
    assert HUSH not in redact(f"a server repeats {HUSH}")


def test_a_new_password_builds_nothing_anew_and_another_host_does() -> None:
    first, second, other = (
        describe(cd.files(f"sftp://ann:{word}@{host}/in/*.csv")) for word, host in ((HUSH, "h"), ("another-one", "h"), (HUSH, "g"))
    )
    assert first == second != other


def test_addresses_that_differ_in_a_secret_alone_are_refused() -> None:
    with pytest.raises(DeclarationProblem, match="differ only in their secrets"):
        cd.http("https://h/a.csv?key=first1", "https://h/a.csv?key=second")
    assert shown("https://h/a.csv?key=first1") == "https://h/a.csv"


def test_log_records_of_any_library_are_cleared(capsys: pytest.CaptureFixture[str]) -> None:
    import logging

    from caudal.secret import redact_logs

    Secret(HUSH)
    before = logging.getLogRecordFactory()
    log, handler = logging.getLogger("a.library"), logging.StreamHandler()
    log.addHandler(handler)
    try:
        redact_logs()
        log.warning("GET %s", f"https://h/?key={HUSH}")
        try:
            raise ValueError(f"of {HUSH}")
        except ValueError:
            log.exception("failed")
    finally:
        logging.setLogRecordFactory(before)
        log.removeHandler(handler)
    written = capsys.readouterr().err
    assert HUSH not in written
    assert written.startswith("GET https://h/?key=***\nfailed\nTraceback")


def test_options_reach_the_library_with_their_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    from caudal.stages.ingest.secret import reveal_settings

    monkeypatch.setenv("JAAS", "from-the-variable")
    options = {"kafka.sasl.jaas.config": cd.env("JAAS"), "kafka.ssl.key.password": HUSH, "failOnDataLoss": "false", "maxOffsets": 3}
    declared = cd.kafka("t", channels=["x"], **options).options
    assert reveal_settings(declared) == {**options, "kafka.sasl.jaas.config": "from-the-variable"}
    assert "from-the-variable" not in redact("login with from-the-variable")
