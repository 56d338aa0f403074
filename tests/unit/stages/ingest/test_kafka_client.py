"""Sources, outlets and replays log in to Kafka with the options that are declared, whichever client it is: the real broker asks for a password."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pytest
from confluent_kafka import Producer

import caudal as cd
from caudal.commands.replay import run_replay
from caudal.declarations.location import Location
from caudal.declarations.outlet import Delivery, Outlet
from caudal.declarations.settings import Settings
from caudal.engine.loopback import free_port
from caudal.errors import DeclarationProblem, EnvironmentProblem
from caudal.messaging import broker as brokers
from caudal.messaging.broker import Broker
from caudal.stages.ingest.streams import open_tap
from caudal.stages.ingest.streams.kafka_client import client_options, properties
from caudal.streaming.outlets.topic import TopicSender

_MODULES = "org.apache.kafka.common.security"
PLAIN = f'{_MODULES}.plain.PlainLoginModule required username="ann" password="{{}}";'


LOGIN = {"kafka.security.protocol": "SASL_PLAINTEXT", "kafka.sasl.mechanism": "PLAIN"}
JAAS = "kafka.sasl.jaas.config"


def options(**declared: object) -> dict[str, str]:
    return client_options(cd.kafka("t", channels=["x"], **{name.replace("__", "."): value for name, value in declared.items()}))


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> object:
    """A broker with a topic of one message, and the address at which it asks for ann's password."""
    port = free_port()
    with pytest.MonkeyPatch.context() as patched:
        server = brokers._SERVER.replace("listeners=PLAINTEXT://", f"listeners=SASL_PLAINTEXT://{{host}}:{port},PLAINTEXT://")
        server = server.replace("map=PLAINTEXT:", "map=SASL_PLAINTEXT:SASL_PLAINTEXT,PLAINTEXT:")
        users = f'{_MODULES}.plain.PlainLoginModule required user_ann="hush;1";'
        patched.setattr(
            brokers,
            "_SERVER",
            f"{server}sasl.enabled.mechanisms=PLAIN\nlistener.name.sasl_plaintext.plain.sasl.jaas.config={users}\n",
        )
        with Broker(tmp_path_factory.mktemp("broker"), heap="256m") as broker:
            producer = Producer({"bootstrap.servers": broker.address})
            producer.produce("guarded", b"one")
            assert producer.flush(60) == 0
            yield f"127.0.0.1:{port}"


def read(address: str, topic: str = "guarded", **declared: object) -> list[bytes]:
    source = cd.kafka(topic, channels=["x"], servers=address, **declared)
    connected = open_tap(source, Path("unused"))
    try:
        start, end, _ = connected.ends(None, 1 << 20)
        assert all(connected.identity())  # the other client that asks logs in, too
        messages: list[bytes] = []
        while start != end:  # one micro-batch after the other
            messages += [value for batch in connected.read(start, end) for value in batch.column("payload").to_pylist()]
            start, end, _ = connected.ends(end, 1 << 20)
        return messages
    finally:
        connected.close()


@pytest.mark.slow
def test_a_topic_behind_a_password_is_read(guarded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    login = LOGIN
    monkeypatch.setenv("JAAS", PLAIN.format("hush;1"))
    assert read(guarded, **login, **{"kafka.sasl.jaas.config": cd.env("JAAS")}) == [b"one"]
    monkeypatch.setattr("caudal.stages.ingest.streams.kafka.KafkaTap._WAIT_S", 3.0)
    with pytest.raises(EnvironmentProblem, match=r"does not answer: .*Authentication failed"):
        read(guarded, **login, **{"kafka.sasl.jaas.config": PLAIN.format("wrong")})


@pytest.mark.slow
@pytest.mark.parametrize("delivery", ["exactly once", "at least once", "at most once"])
def test_rows_go_out_to_a_topic_behind_a_password(guarded: str, monkeypatch: pytest.MonkeyPatch, delivery: Delivery) -> None:
    def sender(jaas: object) -> TopicSender:
        to = cd.topic(name, servers=guarded, **LOGIN, **{JAAS: jaas})
        assert "hush" not in repr(to)
        return TopicSender(Outlet("out", "seconds", to, delivery, Location("product.py", 1)), f"caudal-p-{name}")

    name = delivery.replace(" ", "-")
    rows = pa.table({"device": [7], "mean": [0.5]})
    monkeypatch.setenv("JAAS", PLAIN.format("hush;1"))
    out = sender(cd.env("JAAS"))
    out.send(3, rows)
    if delivery == "exactly once":
        assert out.upto() == 3
    out.close()
    sent = read(guarded, name, **LOGIN, **{JAAS: cd.env("JAAS")})  # behind a transaction the broker counts a marker
    assert sent == [b'{"device":7,"mean":0.5}']
    monkeypatch.setattr("caudal.streaming.outlets.topic._WAIT_S", 3.0)
    refused = sender(PLAIN.format("wrong"))
    with pytest.raises(EnvironmentProblem, match=r"does not take rows for .*: .*Authentication failed"):
        refused.send(4, rows)
    refused.close()


@pytest.mark.slow
def test_a_replay_goes_into_a_topic_behind_a_password(guarded: str, tmp_path: Path) -> None:
    def play(what: str, jaas: str | None = None, to: str | None = None) -> dict[str, object]:
        file = tmp_path / "client.properties"
        if jaas is not None:
            names = {name.removeprefix("kafka."): value for name, value in (LOGIN | {JAAS: jaas}).items()}
            file.write_text("\n".join(f"{name}={value}" for name, value in names.items()) + f"\nbootstrap.servers={guarded}\n")
        return run_replay(
            what, Settings(home=tmp_path), into="kafka", to=to, rate=0, seconds=1, speed=1, devices=1, wire="json", labels=False, source_name=None,
            seed=0, client_config=None if jaas is None else file, say=lambda _: None,
        )  # fmt: skip

    right = {**LOGIN, JAAS: PLAIN.format("hush;1")}
    payloads = play("weather", right[JAAS], to="played")["payloads"]
    assert payloads
    assert len(read(guarded, "played", **right)) == payloads
    channels = ("AF3", "F7", "F3", "FC5", "T7", "P7", "O1", "O2", "P8", "T8", "FC6", "F4", "F8", "AF4", "CZ", "PZ")
    (tmp_path / "product.py").write_text(
        f'import caudal as cd\nproduct = cd.Product("eeg")\n'
        f'product.source("samples", cd.kafka("declared", channels={channels}, servers="{guarded}", **{right!r}))\n'
    )
    payloads = play(str(tmp_path))["payloads"]
    assert len(read(guarded, "declared", **right)) == payloads
    with pytest.raises(EnvironmentProblem, match="Authentication failed"):
        play("weather", PLAIN.format("wrong"), to="played")


def test_properties_are_read_as_the_java_client_reads_them(tmp_path: Path) -> None:
    file = tmp_path / "client.properties"
    file.write_text(
        '# login\nsecurity.protocol = SASL_SSL\n! more\nsasl.jaas.config=org.PlainLoginModule required \\\n   username="ann" password="a\\\\"b";\n'
    )
    found = properties(file)
    assert set(found) == {"kafka.security.protocol", JAAS}
    assert found["kafka.security.protocol"] == "SASL_SSL"
    assert found[JAAS].reveal() == 'org.PlainLoginModule required username="ann" password="a\\"b";'
    file.write_text("secret hush\n")
    with pytest.raises(DeclarationProblem, match="no property") as problem:
        properties(file)
    assert "hush" not in str(problem.value)
    with pytest.raises(DeclarationProblem, match="cannot be read"):
        properties(tmp_path / "none")


def test_options_that_are_none_of_the_client_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DeclarationProblem, match=re.escape("takes no option 'security.protocol'")):
        cd.topic("t", **{"security.protocol": "SSL"})
    with pytest.raises(DeclarationProblem, match="this replay goes into log"):
        run_replay(
            "weather", Settings(home=tmp_path), into=None, to=None, rate=0, seconds=1, speed=1, devices=1, wire=None, labels=False,
            source_name=None, seed=0, client_config=tmp_path / "c", say=lambda _: None,
        )  # fmt: skip


def test_options_of_the_java_client_are_those_of_librdkafka() -> None:
    assert options(
        kafka__security__protocol="SASL_SSL", kafka__sasl__mechanism="SCRAM-SHA-512", failOnDataLoss="false", kafka__max__poll__records=5,
        kafka__sasl__jaas__config=rf'{_MODULES}.scram.ScramLoginModule required username=ann password="x\"y";',
    ) == {"security.protocol": "SASL_SSL", "sasl.mechanisms": "SCRAM-SHA-512", "sasl.username": "ann", "sasl.password": 'x"y'}  # fmt: skip
    assert options(
        kafka__ssl__truststore__type="PEM", kafka__ssl__truststore__location="/ca.pem", kafka__ssl__keystore__type="PKCS12",
        kafka__ssl__keystore__location="/me.p12", kafka__ssl__keystore__password='a"b', kafka__isolation__level="read_committed",
    ) == {
        "ssl.ca.location": "/ca.pem", "ssl.keystore.location": "/me.p12", "ssl.keystore.password": 'a"b', "isolation.level": "read_committed",
    }  # fmt: skip


@pytest.mark.parametrize(
    "declared",
    [
        {"kafka__ssl__truststore__location": "/store.jks"},
        {"kafka__sasl__jaas__config": f"{_MODULES}.oauthbearer.OAuthBearerLoginModule required;"},
        {"kafka__sasl__login__callback__handler__class": "org.example.Handler"},
    ],
)
def test_what_has_no_counterpart_is_refused_by_name(declared: dict[str, str]) -> None:
    with pytest.raises(DeclarationProblem, match=next(iter(declared)).replace("__", r"\.")):
        options(**declared)
