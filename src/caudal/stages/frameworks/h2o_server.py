"""A server of H2O for the length of one training: on this machine only, behind a password, gone with this process."""

from __future__ import annotations

import io
import re
import secrets
import shutil
import tempfile
import time
import warnings
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, Self

from caudal.engine.java import java_home
from caudal.engine.jvm import user_options
from caudal.engine.loopback import HOST, free_port, start_program, stop_program
from caudal.engine.settings import usable_cores, usable_memory
from caudal.errors import EnvironmentProblem
from caudal.extras import require

if TYPE_CHECKING:
    import subprocess

NEWEST = (3, 46, 0, 7)  # of the versions that export a MOJO
START_S = 120.0
STOP_S = 5.0
USER = "caudal"
LEAST_MIB, MOST_MIB = 1024, 8192
_LISTENS = re.compile(rb"Open H2O Flow in your web browser: (http://[\d.]+:\d+)")


class H2OServer:
    """A server that starts with the first use and ends with ``stop`` or the ``with`` block.

    Only one is used at a time: H2O's library knows one connection. That of a product's own code is put back at the end.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None
        self._connection: Any = None
        self._before: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def library(self) -> ModuleType:
        """Return the library ``h2o``, connected with the server.

        Raises
        ------
        EnvironmentProblem : the library is missing or refuses to export models, or the server does not start
        """
        h2o = require_h2o()
        if self._process is None:
            try:
                self._start(h2o)
            except BaseException:
                self.stop()
                raise
        return h2o

    def stop(self) -> None:
        """End the server and remove its files."""
        if self._connection is not None:
            h2o = require_h2o()
            self._connection.close()
            h2o.h2o.h2oconn = self._before
        if self._process is not None:
            stop_program(self._process, STOP_S)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._process = self._folder = self._connection = self._before = None

    def _start(self, h2o: ModuleType) -> None:
        from h2o.backend import H2OConnection

        self._folder = Path(tempfile.mkdtemp(prefix="caudal-h2o-"))  # for this user only
        password = secrets.token_urlsafe(24)
        login, log = self._folder / "login", self._folder / "log"
        login.write_text(f"{USER}: {password}\n")
        heap = min(MOST_MIB, max(LEAST_MIB, usable_memory() // 4 >> 20))
        jar = Path(str(h2o.__file__)).parent / "backend" / "bin" / "h2o.jar"
        command = [
            str(java_home().java), f"-Xmx{heap}m", *user_options(), "-jar", str(jar),
            "-baseport", str(free_port()), "-ip", HOST, "-web_ip", HOST, "-name", f"caudal-{secrets.token_hex(8)}",
            "-ice_root", str(self._folder), "-hash_login", "-login_conf", str(login), "-nthreads", str(usable_cores()),
            "-log_level", "INFO", "-allow_unsupported_java",
        ]  # fmt: skip
        self._process = start_program(command, log, cwd=self._folder)
        address = self._address(log)
        self._before = h2o.connection()
        # It prints how old it is.
        with redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._connection = H2OConnection.open(url=address, auth=(USER, password), verbose=False)
        h2o.h2o.h2oconn = self._connection
        h2o.no_progress()

    def _address(self, log: Path) -> str:
        """Return the server's address, once it listens."""
        assert self._process is not None
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            if found := _LISTENS.search(log.read_bytes()):
                return found[1].decode()
            if self._process.poll() is not None:
                break
            time.sleep(0.1)
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        raise EnvironmentProblem(
            f"H2O's server did not start: {lines[-1].strip() if lines else 'it wrote nothing'}.",
            fix="See whether there is memory for its heap, and a Java that it accepts (CAUDAL_JAVA=bundled).",
        )


def require_h2o() -> ModuleType:
    """Return the library ``h2o``, in a version that exports models.

    Raises
    ------
    EnvironmentProblem : it is missing, or too new
    """
    h2o = require("h2o", extra="h2o", for_="A candidate of H2O")
    numbers = tuple(int(number) for number in re.findall(r"\d+", str(h2o.__version__))[:4])
    if numbers > NEWEST:
        newest = ".".join(map(str, NEWEST))
        raise EnvironmentProblem(
            f"h2o {h2o.__version__} does not export models; {newest} is the newest that does.",
            fix=f"Run: pip install h2o=={newest}",
            found=h2o.__version__,
        )
    return h2o
