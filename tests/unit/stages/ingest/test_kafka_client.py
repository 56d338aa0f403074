"""A Kafka source logs in with the options that it declares, whichever client reads it: the real broker asks for a password."""

from __future__ import annotations

from pathlib import Path

import pytest
from confluent_kafka import Producer

import caudal as cd
from caudal.errors import DeclarationProblem, EnvironmentProblem
from caudal.spark import broker as brokers
from caudal.spark.broker import Broker
from caudal.spark.loopback import free_port
from caudal.stages.ingest.streams.kafka_client import client_options
from caudal.stages.ingest.streams.tap import tap

_MODULES = "org.apache.kafka.common.security"
PLAIN = f'{_MODULES}.plain.PlainLoginModule required username="ann" password="{{}}";'


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


def read(address: str, **declared: object) -> list[bytes]:
    source = cd.kafka("guarded", channels=["x"], servers=address, **declared)
    connected = tap(source, Path("unused"))
    try:
        start, end, _ = connected.ends(None, 1 << 20)
        assert all(connected.identity())  # the other client that asks logs in, too
        return [value for batch in connected.read(start, end) for value in batch.column("payload").to_pylist()]
    finally:
        connected.close()


@pytest.mark.slow
def test_a_topic_behind_a_password_is_read(guarded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    login = {"kafka.security.protocol": "SASL_PLAINTEXT", "kafka.sasl.mechanism": "PLAIN"}
    monkeypatch.setenv("JAAS", PLAIN.format("hush;1"))
    assert read(guarded, **login, **{"kafka.sasl.jaas.config": cd.env("JAAS")}) == [b"one"]
    monkeypatch.setattr("caudal.stages.ingest.streams.tap.KafkaTap._WAIT_S", 3.0)
    with pytest.raises(EnvironmentProblem, match="does not answer"):
        read(guarded, **login, **{"kafka.sasl.jaas.config": PLAIN.format("wrong")})


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
