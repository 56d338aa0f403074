"""Translate the options of a Kafka topic for librdkafka, which reads small micro-batches and writes; Spark's connector uses them as declared.

Spark's connector is Apache Kafka's Java client. Options of login and encryption are written for it (``kafka.sasl.jaas.config``, certificate
stores) and are translated here. Options that tune the Java client (``kafka.max.poll.records``) do not apply to librdkafka and are left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from caudal.declarations.connection import Kafka
from caudal.declarations.outlet import Topic
from caudal.errors import DeclarationProblem
from caudal.secret import secrets_hidden
from caudal.stages.ingest.secret import reveal_settings

if TYPE_CHECKING:
    from confluent_kafka import KafkaError

Options = dict[str, str]
LOGIN_FIX = (
    "Give the user and the password that the broker knows, in kafka.sasl.jaas.config, and the certificates that it asks for."
)
_PREFIX = "kafka."
_SAME_NAME = (
    "security.protocol", "sasl.kerberos.service.name", "ssl.cipher.suites", "ssl.endpoint.identification.algorithm", "ssl.key.password",
    "client.id", "client.rack", "isolation.level", "socket.connection.setup.timeout.ms", "client.dns.lookup",
)  # fmt: skip
_RENAMED = {
    "sasl.mechanism": "sasl.mechanisms",
    "ssl.truststore.certificates": "ssl.ca.pem",
    "ssl.keystore.certificate.chain": "ssl.certificate.pem",
    "ssl.keystore.key": "ssl.key.pem",
}
# The meaning of a store depends on its type; a Java key store (JKS, the default) cannot be read.
_STORES: Mapping[tuple[str, str], str] = {
    ("ssl.truststore.location", "PEM"): "ssl.ca.location",
    ("ssl.keystore.location", "PKCS12"): "ssl.keystore.location",
    ("ssl.keystore.password", "PKCS12"): "ssl.keystore.password",
}
_NEEDLESS = ("ssl.truststore.type", "ssl.keystore.type", "ssl.protocol", "ssl.enabled.protocols", "ssl.provider")
_CONTINUED = re.compile(r"\\\r?\n[ \t]*")  # of a properties file: a backslash at the end of a line
_ESCAPED, _ESCAPES = re.compile(r"\\(.)"), {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}
_LOGIN = re.compile(r"\.(?:Plain|Scram)LoginModule\s+required\b")
_PAIR = re.compile(r"""(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))""")


def client_options(connection: Kafka | Topic) -> Options:
    """Return the librdkafka options for a topic's declared ones, without the servers.

    Raises
    ------
    DeclarationProblem : an option of login or encryption has no counterpart in librdkafka
    """
    revealed = reveal_settings(connection.options)
    declared = {name.removeprefix(_PREFIX): str(value) for name, value in revealed.items() if name.startswith(_PREFIX)}
    chosen: Options = {}
    for name, value in declared.items():
        if name in _SAME_NAME:
            chosen[name] = value
        elif name in _RENAMED:
            chosen[_RENAMED[name]] = value
        elif name == "sasl.jaas.config":
            chosen |= _login(value, connection)
        elif translated := _STORES.get((name, declared.get(f"{name.rpartition('.')[0]}.type", "JKS").upper())):
            chosen[translated] = value
        elif name.startswith(("sasl.", "ssl.", "security.")) and name not in _NEEDLESS:
            raise _untranslatable_problem(name, connection)
    return chosen


def properties(file: Path) -> dict[str, object]:
    """Return the options of a properties file of Kafka's Java client, under their names in declarations.

    Raises
    ------
    DeclarationProblem : the file cannot be read, or a line of it is not ``name=value``
    """
    try:
        text = _CONTINUED.sub("", file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise DeclarationProblem(f"'{file}' cannot be read as properties of Kafka's client: {error}.") from None
    options: dict[str, str] = {}
    for line in map(str.strip, text.splitlines()):
        if line and not line.startswith(("#", "!")):
            name, equals, value = line.partition("=")
            if not equals:
                raise DeclarationProblem(f"A line of '{file}' is no property of Kafka's client.", fix="Write name=value.")
            options[_PREFIX + name.strip()] = _ESCAPED.sub(lambda match: _ESCAPES.get(match[1], match[1]), value.strip())
    return secrets_hidden(options)


class LoginRefusal:
    """The brokers' reason for refusing a login.

    librdkafka keeps trying to log in, and its calls only time out; it passes the reason to a callback, which this object is
    (``error_cb``).
    """

    text = ""

    def __call__(self, error: KafkaError) -> None:
        """Remember an error of the login or of certificates."""
        from confluent_kafka import KafkaError

        if error.code() in (KafkaError._AUTHENTICATION, KafkaError._SSL):
            self.text = error.str()


def _login(jaas: str, connection: Kafka | Topic) -> Options:
    """Return the user and the password in a JAAS line."""
    login = {name: (quoted and re.sub(r"\\(.)", r"\1", quoted)) or plain for name, quoted, plain in _PAIR.findall(jaas)}
    if not _LOGIN.search(jaas) or not {"username", "password"} <= login.keys():
        raise _untranslatable_problem("sasl.jaas.config", connection)
    return {"sasl.username": login["username"], "sasl.password": login["password"]}


def _untranslatable_problem(name: str, connection: Kafka | Topic) -> DeclarationProblem:
    return DeclarationProblem(
        f"Topic '{connection.topic}' is reached by librdkafka, which has no counterpart of the option '{_PREFIX}{name}' with this value.",
        fix="Give certificates as PEM (kafka.ssl.truststore.type='PEM') or a key store of PKCS12."
        if name.startswith("ssl.")
        else "Log in by PLAIN or SCRAM, with the user and the password in kafka.sasl.jaas.config.",
        topic=connection.topic,
        option=f"{_PREFIX}{name}",
    )
