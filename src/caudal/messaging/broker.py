"""A real Kafka broker for one machine: KRaft, one Java process, loopback only, no password.

It is for development and tests on a laptop; a real cluster is configured by ``CAUDAL_KAFKA``, and this is not used then.
"""

from __future__ import annotations

import base64
import os
import socket
import subprocess
import time
import uuid
from pathlib import Path
from typing import IO

from caudal.engine.connectors import program
from caudal.engine.java import java_home
from caudal.engine.jvm import user_options
from caudal.engine.loopback import HOST, close_pipe, free_port, kill_program, start_program, stop_program
from caudal.errors import EnvironmentProblem
from caudal.extras import require

_PATIENCE_S = 60.0
_LOGGING = """\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d %p %c: %m%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
"""
_SERVER = """\
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}
advertised.listeners=PLAINTEXT://{host}:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
controller.quorum.voters=1@{host}:{controller}
log.dirs={data}
num.partitions=2
num.network.threads=2
num.io.threads=2
message.max.bytes=8388608
replica.fetch.max.bytes=8388608
# Times are those of the samples, which may be years back: by age nothing would stay.
log.retention.ms=-1
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
# After a kill the one before is taken for alive this long.
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
"""


class Broker:
    """A broker whose topics are stored in ``folder`` and survive a restart.

    Parameters
    ----------
    folder : Path, created if it is missing
    port : int, 0 takes a free one and keeps it across restarts
    heap : str, memory of the Java process
    """

    def __init__(self, folder: Path, port: int = 0, heap: str = "512m") -> None:
        self.folder, self.port, self._heap = Path(folder).absolute(), port, heap
        self._process: subprocess.Popen[bytes] | None = None
        self._hold: IO[bytes] | None = None

    @property
    def address(self) -> str:
        """``host:port``."""
        return f"{HOST}:{self.port}"

    @property
    def pid(self) -> int | None:
        """The process id of the Java process, while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def log(self) -> Path:
        """File of the broker's output."""
        return self.folder / "broker.log"

    def start(self) -> Broker:
        """Start the broker and wait until it answers; do nothing if it runs.

        Raises
        ------
        EnvironmentProblem : Kafka's client is not installed, the port is taken, another broker uses the folder, Java or the jars are not available, or the broker ended
            (its last output is quoted)
        """
        if self.pid is not None:
            return self
        require("confluent_kafka", extra="kafka", for_="caudal broker")
        if self._process is not None:
            close_pipe(self._process)
        self.port = free_port(self.port)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock_folder()
        settings = self.folder / "server.properties"
        settings.write_text(
            _SERVER.format(host=HOST, port=self.port, controller=free_port(), data=str(self.folder / "data").replace("\\", "\\\\"))
        )
        (self.folder / "log4j2.properties").write_text(_LOGGING)
        if not (self.folder / "data" / "meta.properties").is_file():
            self._format(settings)
        self._process = start_program([*self._java("kafka.Kafka"), str(settings)], self.log, cwd=self.folder)
        try:
            self._wait()
        except BaseException:
            self.kill()
            raise
        return self

    def wait(self) -> None:
        """Wait until the broker ends.

        Raises
        ------
        EnvironmentProblem : the broker ended by itself; its last output is quoted
        """
        if self._process is not None:
            self._process.wait()
            raise self._start_error()

    def stop(self, wait_s: float = 30.0) -> None:
        """Shut the broker down in good order."""
        if self._process is not None:
            stop_program(self._process, wait_s)
        self._process = None
        self._release()

    def kill(self) -> None:
        """Kill the broker, as a power cut would."""
        if self._process is not None:
            kill_program(self._process)
        self._process = None
        self._release()

    def __enter__(self) -> Broker:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _lock_folder(self) -> None:
        """Lock the folder for this broker. Kafka's own lock is checked too late: it may answer before."""
        if self._hold is not None:
            return
        lock_file = (self.folder / "broker.lock").open("wb")
        try:
            import fcntl

            fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:  # on Windows Kafka's own lock has to suffice
            pass
        except OSError:
            lock_file.close()
            raise EnvironmentProblem(
                f"There is another broker at work in '{self.folder}'.", fix="Use that one, or give another folder."
            ) from None
        self._hold = lock_file

    def _release(self) -> None:
        if self._hold is not None:
            self._hold.close()
        self._hold = None

    def _java(self, main: str) -> list[str]:
        jars = os.pathsep.join(map(str, program("broker")))
        logging = (self.folder / "log4j2.properties").as_uri()
        options = [f"-Xmx{self._heap}", "-Xshare:auto", "-XX:+ExitOnOutOfMemoryError", f"-Dlog4j2.configurationFile={logging}"]
        return [str(java_home().java), *options, *user_options(), "-cp", jars, main]

    def _format(self, settings: Path) -> None:
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        command = [
            *self._java("kafka.tools.StorageTool"),
            "format",
            f"--cluster-id={cluster}",
            "-c",
            str(settings),
        ]  # it may begin with a dash
        completed = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self.folder)
        if completed.returncode:
            raise EnvironmentProblem(
                f"Kafka could not make its folder '{self.folder / 'data'}': {(completed.stderr or completed.stdout).strip()[-500:]}",
                fix="Give another folder, or remove what is in the way.",
            )

    def _wait(self) -> None:
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        assert self._process is not None
        until = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until:
            if self._process.poll() is not None:
                break
            try:
                socket.create_connection((HOST, self.port), timeout=0.5).close()
                AdminClient({"bootstrap.servers": self.address, "log_level": 0}).list_topics(timeout=5)
                return
            except (OSError, KafkaException):
                time.sleep(0.1)
        raise self._start_error()

    def _start_error(self) -> EnvironmentProblem:
        assert self._process is not None
        last_lines = self.log.read_text(errors="replace").strip().splitlines()[-5:]
        state = "does not answer" if self._process.poll() is None else f"ended with {self._process.returncode}"
        return EnvironmentProblem(
            f"The Kafka broker {state}. Its last output: {' | '.join(last_lines) or 'none'}",
            fix=f"Its complete output is in '{self.log}'. Does another broker use this folder?",
        )
