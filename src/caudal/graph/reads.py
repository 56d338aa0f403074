"""What user code reads beside its own modules: files, folders, environment variables; and whether they are still as they were.

Python tells of every file that it opens (``sys.addaudithook``). What a library reads when it is imported is not counted: its version is.
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

from caudal.graph.modules import is_installed, is_users
from caudal.json_value import JsonObject

P = ParamSpec("P")
R = TypeVar("R")
AnyPath = str | bytes | os.PathLike[str] | os.PathLike[bytes]

# Of the terminal or the process, not of the product.
SESSION = frozenset(
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
_SESSION_STARTS = ("CAUDAL_", "SSH_", "XDG_SESSION", "VSCODE_", "TERM_", "COV_")
_SYSTEM = ("/proc/", "/sys/", "/dev/", "/etc/", "/usr/share/zoneinfo/")
_UNSEEN = {
    "subprocess.Popen": "a command", "os.system": "a command", "os.posix_spawn": "a command", "os.exec": "a command",
    "socket.connect": "the network", "socket.getaddrinfo": "the network",
}  # fmt: skip
_MADE = os.O_EXCL | os.O_TRUNC | (getattr(os, "O_TMPFILE", 0) & ~os.O_DIRECTORY)
_CAUDAL = str(Path(__file__).parent.parent) + os.sep
_STDLIB = tuple(f"{place}{os.sep}" for name in ("stdlib", "platstdlib") if (place := sysconfig.get_path(name)))


@dataclass
class Reads:
    """What was read: each path or name, with the digest of what was there; None where there was nothing.

    ``unseen`` names what was asked that cannot be looked at again: the network, a command.
    """

    files: dict[str, str | None] = field(default_factory=dict)
    folders: dict[str, str | None] = field(default_factory=dict)
    asked: dict[str, str | None] = field(default_factory=dict)  # whether there is a file, a folder or nothing
    variables: dict[str, str | None] = field(default_factory=dict)
    unseen: set[str] = field(default_factory=set)

    def now(self) -> Reads:
        """Return the same reads, as they would be now."""
        return Reads(
            {path: file_state(path) for path in self.files},
            {path: folder_state(path) for path in self.folders},
            {path: kind_state(path) for path in self.asked},
            {name: variable_state(name) for name in self.variables},
            set(self.unseen),
        )

    def also(self, other: Reads) -> Reads:
        """Return what either read; where both did, as the other found it."""
        return Reads(
            self.files | other.files, self.folders | other.folders, self.asked | other.asked, self.variables | other.variables,
            self.unseen | other.unseen,
        )  # fmt: skip

    def parts(self, root: Path) -> dict[str, str]:
        """Return each read by a name that people understand: paths are relative to the product's folder."""
        found = {f"file:{_short(path, root)}": state for path, state in self.files.items()}
        found |= {f"folder:{_short(path, root)}": state for path, state in self.folders.items()}
        found |= {f"existence:{_short(path, root)}": state for path, state in self.asked.items()}
        found |= {f"variable:{name}": state for name, state in self.variables.items()}
        found |= {f"unseen:{name}": f"not to be known: {os.urandom(8).hex()}" for name in self.unseen}
        return {name: state or "nothing" for name, state in found.items()}

    def document(self) -> JsonObject:
        """Return it JSON-ready."""
        return {
            "files": self.files, "folders": self.folders, "asked": self.asked, "variables": self.variables, "unseen": sorted(self.unseen),
        }  # fmt: skip

    @classmethod
    def of(cls, document: Mapping[str, Any] | None) -> Reads:
        """Return what a document says."""
        said = dict(document or {})
        return cls(
            **{name: dict(said.get(name, {})) for name in ("files", "folders", "asked", "variables")},
            unseen=set(said.get("unseen", ())),
        )

    def __bool__(self) -> bool:
        return bool(self.files or self.folders or self.asked or self.variables or self.unseen)


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
    """Return the digest of the names in a folder, but hidden ones and compilations; None where there is none."""
    try:
        names = sorted(name for name in os.listdir(path) if not name.startswith(".") and name != "__pycache__")  # noqa: PTH208 (names)
    except OSError:
        return None
    return hashlib.sha256("\0".join(names).encode(errors="surrogateescape")).hexdigest()[:32]


def kind_state(path: str) -> str | None:
    """Return what there is at a path."""
    place = Path(path)
    return "file" if place.is_file() else "folder" if place.is_dir() else None


def variable_state(name: str) -> str | None:
    """Return the digest of a variable's value, None where it is not set; ``*`` is all of them. Values are never kept."""
    if name == "*":
        kept = {key: value for key, value in _environ().items() if key not in SESSION and not key.startswith(_SESSION_STARTS)}
        return hashlib.sha256(json.dumps(kept, sort_keys=True).encode(errors="surrogateescape")).hexdigest()[:32]
    value = _environ().get(name)
    return None if value is None else hashlib.sha256(f"{name}={value}".encode(errors="surrogateescape")).hexdigest()[:32]


class Recorder:
    """Notes what is read while a function is called, by the user's code or on its behalf.

    Parameters
    ----------
    caudals : whether files count that caudal's own functions open for the user
    """

    def __init__(self, *, caudals: bool = True) -> None:
        self._caudals = caudals
        self.reads = Reads()
        self.own: set[str] = set()  # variables that were set meanwhile
        self._paths: dict[tuple[str, str], tuple[int, ...] | None] = {}
        self._made: set[str] = set()  # files that did not exist before, or were emptied
        self._threads = {thread.ident for thread in threading.enumerate()} - {threading.get_ident()}

    def call(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a function and return what it returns; then `reads` says what was read."""
        try:
            with _hooked(self):
                return self._called(function, *args, **kwargs)
        finally:
            self._settle()

    def _called(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        return function(*args, **kwargs)

    def path(self, kind: str, path: AnyPath) -> None:
        """Note that a path is read."""
        try:
            place = os.path.abspath(os.fsdecode(os.fspath(path)))  # noqa: PTH100 (no link is followed)
        except (TypeError, ValueError):  # an open file's number
            return
        if (
            (kind, place) in self._paths
            or (kind != "folder" and place in self._made)
            or place.startswith(_SYSTEM)
            or place.endswith(".pyc")
        ):
            return
        if is_installed(Path(place)) and not is_users(place):
            return
        self._paths[kind, place] = _stamp(place)

    def makes(self, path: AnyPath) -> None:
        """Note that a file is made, so that what is read from it is no input."""
        self._made.add(os.path.abspath(os.fsdecode(os.fspath(path))))  # noqa: PTH100 (no link is followed)

    def concerns(self) -> str | None:
        """Return who reads just now on behalf of the user: ``user``, ``library`` or ``caudal``; None where it is not for the user."""
        if threading.get_ident() in self._threads:
            return None
        frame: FrameType | None = sys._getframe(1)
        reader = None
        while frame is not None:
            code = frame.f_code
            name = code.co_filename
            if code is _CALLED or name.startswith("<frozen importlib"):
                return None
            if name.startswith(_CAUDAL) and not is_users(name):
                if name != __file__:
                    reader = "caudal"  # also what a library reads for it
            elif name.startswith("<") or (name.startswith(_STDLIB) and "site-packages" not in name):
                pass
            elif is_users(name):
                return reader or "user"
            else:
                reader = reader or "library"
            frame = frame.f_back
        return None

    def _settle(self) -> None:
        for (kind, place), stamp in self._paths.items():
            state = {"file": file_state, "folder": folder_state, "asked": kind_state}[kind](place)
            if kind == "file" and stamp != _stamp(place):  # it changed while it was read: nobody knows what was seen
                state = f"changed: {os.urandom(8).hex()}"
            into = {"file": self.reads.files, "folder": self.reads.folders, "asked": self.reads.asked}[kind]
            into[place] = state
        for place in self.reads.files:
            self.reads.asked.pop(place, None)


_CALLED: CodeType = Recorder._called.__code__
_active: list[Recorder] = []
_lock = threading.RLock()
_inside = threading.local()
_audited = False
_stat, _access = os.stat, os.access
_getitem, _setitem, _iter = os._Environ.__getitem__, os._Environ.__setitem__, os._Environ.__iter__


def _stamp(place: str) -> tuple[int, ...] | None:
    try:
        told = _stat(place)
    except OSError:
        return None
    return (told.st_mtime_ns, told.st_size, told.st_ino)


@contextmanager
def _hooked(recorder: Recorder) -> Iterator[None]:
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


def _note(what: Callable[[Recorder, str], None]) -> None:
    if not _active or getattr(_inside, "noting", False):
        return
    _inside.noting = True
    try:
        for recorder in _active:
            reader = recorder.concerns()
            if reader is not None and (reader != "caudal" or recorder._caudals):
                what(recorder, reader)
    finally:
        _inside.noting = False


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if not _active:
        return
    if event == "open":
        path, mode, flags = args
        if isinstance(flags, int) and flags & _MADE:  # it is made by this very call, such as what Spark hands to Java
            _note(lambda recorder, _: recorder.makes(path))
            return
        reads = "r" in mode or "+" in mode if isinstance(mode, str) else not (flags or 0) & os.O_WRONLY
        if reads and not isinstance(path, int):
            _note(lambda recorder, _: recorder.path("file", path))
    elif event in ("os.listdir", "os.scandir"):
        _note(lambda recorder, _: recorder.path("folder", args[0] if args[0] is not None else "."))
    elif event == "sqlite3.connect":
        _note(lambda recorder, _: recorder.path("file", args[0]))
    elif event in _UNSEEN and not _here(event, args):
        _note(lambda recorder, reader: None if reader == "caudal" else recorder.reads.unseen.add(_UNSEEN[event]))


def _here(event: str, args: tuple[Any, ...]) -> bool:
    """Tell whether a connection stays on this machine, as those to Spark's Java do."""
    if not event.startswith("socket."):
        return False
    address = args[1] if event == "socket.connect" else args[0]
    host = address[0] if isinstance(address, tuple) and address else address
    name = os.fsdecode(host) if isinstance(host, str | bytes) else ""
    return not name or name.startswith(("/", "\0", "127.")) or name in ("localhost", "::1")


def _noted_stat(path: Any, *args: Any, **kwargs: Any) -> os.stat_result:
    _note(lambda recorder, _: recorder.path("asked", path))
    return _stat(path, *args, **kwargs)


def _noted_access(path: Any, *args: Any, **kwargs: Any) -> bool:
    _note(lambda recorder, _: recorder.path("asked", path))
    return _access(path, *args, **kwargs)


def _noted_getitem(self: Any, key: Any) -> Any:
    name = os.fsdecode(key) if isinstance(key, str | bytes) else None
    if name is not None and name not in SESSION:
        _note(lambda recorder, reader: _variable(recorder, reader, name))
    return _getitem(self, key)


def _noted_setitem(self: Any, key: Any, value: Any) -> None:
    _note(lambda recorder, _: recorder.own.add(os.fsdecode(key)))  # what was set here and is read after is no input
    _setitem(self, key, value)


def _noted_iter(self: Any) -> Iterator[Any]:
    _note(lambda recorder, reader: _variable(recorder, reader, "*"))
    return _iter(self)


def _variable(recorder: Recorder, reader: str, name: str) -> None:
    # What caudal itself is told by variables it compares itself.
    if reader == "caudal" or name in recorder.own or name in recorder.reads.variables:
        return
    if reader == "user" or not name.startswith("CAUDAL_"):
        recorder.reads.variables[name] = variable_state(name)


def _environ() -> dict[str, str]:
    """Return the environment, unnoted."""
    encoded = os.environ._data  # type: ignore[attr-defined]
    return {os.environ.decodekey(key): os.environ.decodevalue(value) for key, value in encoded.items()}


def _short(path: str, root: Path) -> str:
    return os.path.relpath(path, root)
