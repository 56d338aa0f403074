"""The pages that a fetch has stored so far, so that the next run continues at the page it had reached."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path

LASTS_S = 3600.0  # older pages are fetched again: the pages before them may have changed
_FILE = "journal.json"


@dataclass(frozen=True)
class StoredPage:
    """A stored page: its file, its hash, its number of records, and the newest of them."""

    file: str
    sha256: str
    records: int
    since: object


@dataclass
class Journal:
    """Pages in a folder, in order, and the request that comes next."""

    folder: Path
    key: str
    began: float
    pages: list[StoredPage] = field(default_factory=list)
    requests: list[dict[str, object]] = field(default_factory=list)
    request: dict[str, object] | None = None
    finished: bool = False
    continued: bool = False

    @classmethod
    def open(cls, folder: Path, key: str, now_s: float) -> Journal:
        """Return the journal of a recent interrupted fetch with the same request, else a new one."""
        file = folder / _FILE
        if file.exists():
            stored = json.loads(file.read_text())
            if stored["key"] == key and abs(now_s - stored["began"]) < LASTS_S:
                pages = [StoredPage(**page) for page in stored["pages"]]
                return cls(folder, key, stored["began"], pages, stored["asked"], stored["request"], stored["done"], bool(pages))
        return cls(folder, key, now_s).clear()

    def clear(self) -> Journal:
        """Remove all pages and return this journal."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.pages, self.requests, self.request, self.finished, self.continued = [], [], None, False, False
        return self

    def add(
        self, content: bytes, records: int, since: object, request: dict[str, object], following: dict[str, object] | None
    ) -> None:
        """Store a page and the next request in one step."""
        name = f"{len(self.pages) + 1:06}"
        (self.folder / name).write_bytes(content)
        self.pages.append(StoredPage(name, hashlib.sha256(content).hexdigest(), records, since))
        self.requests.append(request)
        self.request = following
        self._write()

    def finish(self) -> None:
        """Record that no page follows."""
        self.request, self.finished = None, True
        if self.pages:
            self._write()

    def _write(self) -> None:
        document = {
            "key": self.key, "began": self.began, "pages": [asdict(page) for page in self.pages], "asked": self.requests, "request": self.request,
            "done": self.finished,
        }  # fmt: skip
        temporary = self.folder / f".{_FILE}-{os.getpid()}"
        temporary.write_text(json.dumps(document))
        temporary.replace(self.folder / _FILE)
