"""Record what user code reads besides its modules (files, folders, environment variables), and compare it with the present state.

Opened files come from Python's audit hook (``sys.addaudithook``). Files that a library reads at import do not count; its version does.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, ParamSpec, TypeVar

from caudal.graph.modules import is_installed, is_user_file
from caudal.json_value import JsonObject

P = ParamSpec("P")
R = TypeVar("R")
AnyPath = str | bytes | os.PathLike[str] | os.PathLike[bytes]

# Variables of the terminal or the process: they do not affect a product.
SESSION_VARIABLES = frozenset(
    {
        "_",
        "PWD",
        "OLDPWD",
        "SHLVL",
        "TERM",
        "COLUMNS",
        "LINES",
        "PS1",
        "WINDOWID",
        "DISPLAY",
        "PYTEST_CURRENT_TEST",
        "PYTHONHASHSEED",
    }
)
_SESSION_PREFIXES = ("CAUDAL_", "SSH_", "XDG_SESSION", "VSCODE_", "TERM_", "COV_")
_SYSTEM = ("/proc/", "/sys/", "/dev/", "/etc/", "/usr/share/zoneinfo/")
_UNSEEN = {
    "subprocess.Popen": "a command", "os.system": "a command", "os.posix_spawn": "a command", "os.exec": "a command",
    "socket.connect": "the network", "socket.getaddrinfo": "the network",
}  # fmt: skip
_CREATE_FLAGS = os.O_EXCL | os.O_TRUNC | (getattr(os, "O_TMPFILE", 0) & ~os.O_DIRECTORY)
_CAUDAL = str(Path(__file__).parent.parent) + os.sep
_STDLIB = tuple(f"{place}{os.sep}" for name in ("stdlib", "platstdlib") if (place := sysconfig.get_path(name)))


@dataclass
class Reads:
    """Every path and variable that was read, with the digest of its content; None where it did not exist.

    ``existence`` holds the paths that were only checked for existence: ``file``, ``folder`` or None. ``unseen`` names inputs that
    cannot be compared later: the network, a command.
    """

    files: dict[str, str | None] = field(default_factory=dict)
    folders: dict[str, str | None] = field(default_factory=dict)
    existence: dict[str, str | None] = field(default_factory=dict)
    variables: dict[str, str | None] = field(default_factory=dict)
    unseen: set[str] = field(default_factory=set)

    def current(self) -> Reads:
        """Return the present state of everything that was read."""
        return Reads(
            {path: file_state(path) for path in self.files},
            {path: folder_state(path) for path in self.folders},
            {path: kind_state(path) for path in self.existence},
            {name: variable_state(name) for name in self.variables},
            set(self.unseen),
        )

    def merged_with(self, other: Reads) -> Reads:
        """Return the reads of both; where both read the same thing, the state that ``other`` recorded."""
        return Reads(
            self.files | other.files, self.folders | other.folders, self.existence | other.existence, self.variables | other.variables,
            self.unseen | other.unseen,
        )  # fmt: skip

    def parts(self, root: Path) -> dict[str, str]:
        """Return the state of each read by a readable name, such as ``file:weights.onnx``; paths are relative to the product's folder."""
        parts = {f"file:{_short(path, root)}": state for path, state in self.files.items()}
        parts |= {f"folder:{_short(path, root)}": state for path, state in self.folders.items()}
        parts |= {f"existence:{_short(path, root)}": state for path, state in self.existence.items()}
        parts |= {f"variable:{name}": state for name, state in self.variables.items()}
        parts |= {f"unseen:{name}": f"not to be known: {os.urandom(8).hex()}" for name in self.unseen}
        return {name: state or "nothing" for name, state in parts.items()}

    def document(self) -> JsonObject:
        """Return the reads as a JSON-ready document."""
        return {
            "files": self.files, "folders": self.folders, "asked": self.existence, "variables": self.variables, "unseen": sorted(self.unseen),
        }  # fmt: skip

    @classmethod
    def of(cls, document: Mapping[str, Any] | None) -> Reads:
        """Return the reads that `document` wrote; without a document, none."""
        record = dict(document or {})
        return cls(
            **{name: dict(record.get(name, {})) for name in ("files", "folders", "variables")},
            existence=dict(record.get("asked", {})),
            unseen=set(record.get("unseen", ())),
        )

    def __bool__(self) -> bool:
        return bool(self.files or self.folders or self.existence or self.variables or self.unseen)


def file_state(path: str) -> str | None:
    """Return the digest of a file's bytes, None where there is none."""
    try:
        if not Path(path).is_file():
            return "folder" if Path(path).is_dir() else None
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:32]
    except OSError as error:
        return f"unreadable: {error.errno}"


def folder_state(path: str) -> str | None:
    """Return the digest of the names in a folder without hidden files and ``__pycache__``; None where there is no folder."""
    try:
        names = sorted(name for name in os.listdir(path) if not name.startswith(".") and name != "__pycache__")  # noqa: PTH208 (names)
    except OSError:
        return None
    return hashlib.sha256("\0".join(names).encode(errors="surrogateescape")).hexdigest()[:32]


def kind_state(path: str) -> str | None:
    """Return ``file`` or ``folder``; None where nothing is at the path."""
    place = Path(path)
    return "file" if place.is_file() else "folder" if place.is_dir() else None


def variable_state(name: str) -> str | None:
    """Return the digest of a variable's value, None where it is not set; ``*`` means all variables. Values are never stored."""
    if name == "*":
        variables = {
            key: value
            for key, value in _environ().items()
            if key not in SESSION_VARIABLES and not key.startswith(_SESSION_PREFIXES)
        }
        return hashlib.sha256(json.dumps(variables, sort_keys=True).encode(errors="surrogateescape")).hexdigest()[:32]
    value = _environ().get(name)
    return None if value is None else hashlib.sha256(f"{name}={value}".encode(errors="surrogateescape")).hexdigest()[:32]


class Recorder:
    """Records what a function reads while it is called, in user code or in libraries that user code calls.

    Parameters
    ----------
    include_caudal : whether files count that functions of caudal open for the user
    """

    def __init__(self, *, include_caudal: bool = True) -> None:
        self._include_caudal = include_caudal
        self.reads = Reads()
        self.set_variables: set[str] = set()  # variables that the function itself set
        self._paths: dict[tuple[str, str], tuple[int, ...] | None] = {}
        self._written: set[str] = set()  # files that the function created or emptied
        self._threads = {thread.ident for thread in threading.enumerate()} - {threading.get_ident()}

    def call(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a function and return its result; `reads` then holds what it read."""
        try:
            with _install_hooks(self):
                return self._call_function(function, *args, **kwargs)
        finally:
            self._record_states()

    def _call_function(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        return function(*args, **kwargs)

    def note_path(self, kind: str, path: AnyPath) -> None:
        """Record that a path is read."""
        try:
            place = os.path.abspath(os.fsdecode(os.fspath(path)))  # noqa: PTH100 (no link is followed)
        except (TypeError, ValueError):  # a file descriptor
            return
        if (
            (kind, place) in self._paths
            or (kind != "folder" and place in self._written)
            or place.startswith(_SYSTEM)
            or place.endswith(".pyc")
        ):
            return
        if is_installed(Path(place)) and not is_user_file(place):
            return
        self._paths[kind, place] = _stamp(place)

    def note_written(self, path: AnyPath) -> None:
        """Record that a file is written, so that reading it later does not count as an input."""
        self._written.add(os.path.abspath(os.fsdecode(os.fspath(path))))  # noqa: PTH100 (no link is followed)

    def current_reader(self) -> str | None:
        """Return which code reads now for the user: ``user``, ``library`` or ``caudal``; None where the read is not for the user."""
        if threading.get_ident() in self._threads:
            return None
        frame: FrameType | None = sys._getframe(1)
        reader = None
        while frame is not None:
            code = frame.f_code
            name = code.co_filename
            if code is _CALL_CODE or name.startswith("<frozen importlib"):
                return None
            if name.startswith(_CAUDAL) and not is_user_file(name):
                if name != __file__:
                    reader = "caudal"  # includes libraries that caudal calls
            elif name.startswith("<") or (name.startswith(_STDLIB) and "site-packages" not in name):
                pass
            elif is_user_file(name):
                return reader or "user"
            else:
                reader = reader or "library"
            frame = frame.f_back
        return None

    def _record_states(self) -> None:
        for (kind, place), stamp in self._paths.items():
            state = {"file": file_state, "folder": folder_state, "existence": kind_state}[kind](place)
            if kind == "file" and stamp != _stamp(place):  # it changed while it was read: which content the function saw is unknown
                state = f"changed: {os.urandom(8).hex()}"
            states = {"file": self.reads.files, "folder": self.reads.folders, "existence": self.reads.existence}[kind]
            states[place] = state
        for place in self.reads.files:
            self.reads.existence.pop(place, None)


_CALL_CODE: CodeType = Recorder._call_function.__code__
_active: list[Recorder] = []
_lock = threading.RLock()
_inside = threading.local()
_audited = False
_stat, _access = os.stat, os.access
_getitem, _setitem, _iter = os._Environ.__getitem__, os._Environ.__setitem__, os._Environ.__iter__


def _stamp(place: str) -> tuple[int, ...] | None:
    try:
        status = _stat(place)
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_size, status.st_ino)


@contextmanager
def _install_hooks(recorder: Recorder) -> Iterator[None]:
    global _audited
    with _lock:
        if not _audited:
            sys.addaudithook(_audit)
            _audited = True
        if not _active:
            os.stat, os.access = _noted_stat, _noted_access
            os._Environ.__getitem__, os._Environ.__iter__ = _noted_getitem, _noted_iter  # type: ignore[method-assign]
            os._Environ.__setitem__ = _noted_setitem  # type: ignore[method-assign]
        _active.append(recorder)
    try:
        yield
    finally:
        with _lock:
            _active.remove(recorder)
            if not _active:
                os.stat, os.access = _stat, _access
                os._Environ.__getitem__, os._Environ.__iter__ = _getitem, _iter  # type: ignore[method-assign]
                os._Environ.__setitem__ = _setitem  # type: ignore[method-assign]


def _notify_recorders(note_read: Callable[[Recorder, str], None]) -> None:
    if not _active or getattr(_inside, "noting", False):
        return
    _inside.noting = True
    try:
        for recorder in _active:
            reader = recorder.current_reader()
            if reader is not None and (reader != "caudal" or recorder._include_caudal):
                note_read(recorder, reader)
    finally:
        _inside.noting = False


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if not _active:
        return
    if event == "open":
        path, mode, flags = args
        if (
            isinstance(flags, int) and flags & _CREATE_FLAGS
        ):  # this call creates the file, such as the one that Spark passes to Java
            _notify_recorders(lambda recorder, _: recorder.note_written(path))
            return
        reads = "r" in mode or "+" in mode if isinstance(mode, str) else not (flags or 0) & os.O_WRONLY
        if reads and not isinstance(path, int):
            _notify_recorders(lambda recorder, _: recorder.note_path("file", path))
    elif event in ("os.listdir", "os.scandir"):
        _notify_recorders(lambda recorder, _: recorder.note_path("folder", args[0] if args[0] is not None else "."))
    elif event == "sqlite3.connect":
        _notify_recorders(lambda recorder, _: recorder.note_path("file", args[0]))
    elif event in _UNSEEN and not _is_local(event, args):
        _notify_recorders(lambda recorder, reader: None if reader == "caudal" else recorder.reads.unseen.add(_UNSEEN[event]))


def _is_local(event: str, args: tuple[Any, ...]) -> bool:
    """Return whether a connection stays on this machine, such as the one to Spark's JVM."""
    if not event.startswith("socket."):
        return False
    address = args[1] if event == "socket.connect" else args[0]
    host = address[0] if isinstance(address, tuple) and address else address
    name = os.fsdecode(host) if isinstance(host, str | bytes) else ""
    return not name or name.startswith(("/", "\0", "127.")) or name in ("localhost", "::1")


def _noted_stat(path: Any, *args: Any, **kwargs: Any) -> os.stat_result:
    _notify_recorders(lambda recorder, _: recorder.note_path("existence", path))
    return _stat(path, *args, **kwargs)


def _noted_access(path: Any, *args: Any, **kwargs: Any) -> bool:
    _notify_recorders(lambda recorder, _: recorder.note_path("existence", path))
    return _access(path, *args, **kwargs)


def _noted_getitem(self: Any, key: Any) -> Any:
    name = os.fsdecode(key) if isinstance(key, str | bytes) else None
    if name is not None and name not in SESSION_VARIABLES:
        _notify_recorders(lambda recorder, reader: _variable(recorder, reader, name))
    return _getitem(self, key)


def _noted_setitem(self: Any, key: Any, value: Any) -> None:
    _notify_recorders(
        lambda recorder, _: recorder.set_variables.add(os.fsdecode(key))
    )  # a variable that the function set is no input when it reads it
    _setitem(self, key, value)


def _noted_iter(self: Any) -> Iterator[Any]:
    _notify_recorders(lambda recorder, reader: _variable(recorder, reader, "*"))
    return _iter(self)


_OF_PYSPARK = ("PYSPARK_NO_NAMESPACE_SHARE", "SPARK_CONNECT_MODE_ENABLED", "SPARK_SKIP_CONNECT_COMPAT_TESTS")
"""What PySpark asks to know whether it speaks to Java or to a Connect server; the rows are the same."""


def _variable(recorder: Recorder, reader: str, name: str) -> None:
    # Settings that caudal reads from variables are compared elsewhere.
    if reader == "caudal" or name in _OF_PYSPARK or name in recorder.set_variables or name in recorder.reads.variables:
        return
    if reader == "user" or not name.startswith("CAUDAL_"):
        recorder.reads.variables[name] = variable_state(name)


def _environ() -> dict[str, str]:
    """Return the environment without recording a read."""
    encoded = os.environ._data  # type: ignore[attr-defined]
    return {os.environ.decodekey(key): os.environ.decodevalue(value) for key, value in encoded.items()}


def _short(path: str, root: Path) -> str:
    return os.path.relpath(path, root)
