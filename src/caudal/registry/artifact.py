"""The files of a model version: written to a temporary folder, then renamed; identified by one hash over all of them.

| format | file | loading |
|---|---|---|
| ``skops`` | ``model.skops`` | creates only known types (``trust.py``); runs no code from the file |
| ``mojo`` | ``model.zip`` | H2O's own form, read as data (``caudal.mojo``) |
| ``spark`` | ``sparkml/`` | Spark ML's own; only Spark's classes are allowed |
| ``pickle`` | ``model.pickle`` | only for what skops cannot store, and only if the settings trust pickle |

A version of ``skops`` has ``compiled.json`` and, where its pipeline could be compiled, ``compiled.npz`` beside it (``caudal.compiled``).
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import re
import shutil
import uuid
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from caudal.errors import EnvironmentProblem
from caudal.extras import CANDIDATE_LIBRARIES, require
from caudal.registry.trust import require_known, require_pickle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.ml import PipelineModel
    from pyspark.sql import SparkSession

Format = Literal["skops", "spark", "mojo", "pickle"]
SKOPS, PICKLED, SPARK, MOJO = "model.skops", "model.pickle", "sparkml", "model.zip"
MAKING = ".making-"
_METADATA_FILE = re.compile(r"part-[0-9]{5}(-[0-9a-f-]{36}-c[0-9]{3}\.txt)?")


@dataclass(frozen=True)
class StoredArtifact:
    """A stored model: its format, and the types in it that skops does not trust by default."""

    format: Format
    types: tuple[str, ...] = ()


def write_artifact(folder: Path, fitted: Any, kind: str, trust: Sequence[str], version_label: str) -> StoredArtifact:
    """Write a fitted estimator into a folder and return its format and types.

    Raises
    ------
    EnvironmentProblem : the model could not be loaded again under the same settings, so it is not stored
    """
    if kind == "spark":
        fitted.write().overwrite().save((folder / SPARK).absolute().as_uri())
        # The hash makes the checksum files of Hadoop's local file system redundant.
        for crc in (folder / SPARK).rglob(".*.crc"):
            crc.unlink()
        return StoredArtifact("spark")
    if kind == "mojo":
        (folder / MOJO).write_bytes(fitted.data)
        return StoredArtifact("mojo")
    import skops.io

    try:
        data = skops.io.dumps(fitted)
        types = tuple(skops.io.get_untrusted_types(data=data))
        skops.io.loads(data, trusted=types)  # only this detects lambdas; the object is our own, so no foreign code runs
    # skops has many errors for unsupported objects: TypeError, AttributeError, NotImplementedError, UnsupportedTypeException …
    except Exception:  # noqa: BLE001
        require_pickle(trust, version_label)
        (folder / PICKLED).write_bytes(pickle.dumps(fitted))
        return StoredArtifact("pickle")
    require_known(types, trust, version_label)
    (folder / SKOPS).write_bytes(data)
    return StoredArtifact("skops", types)


def read_artifact(folder: Path, format: str, sha256: str, trust: Sequence[str], version_label: str) -> Any:
    """Return the fitted estimator in a folder, after its hash and its types have been verified.

    The bytes that were hashed are the bytes that are loaded.

    Raises
    ------
    EnvironmentProblem : files are missing or changed, hold foreign types, or need another version of a library
    """
    files = read_verified_files(folder, sha256, version_label)
    try:
        if format == "pickle":
            require_pickle(trust, version_label)
            return pickle.loads(files[PICKLED])  # noqa: S301 - the settings allow it
        if format == "mojo":
            from caudal.mojo import read_mojo

            return read_mojo(files[MOJO])
        import skops.io

        data = files[SKOPS]
        types = skops.io.get_untrusted_types(data=data)
        require_known(types, trust, version_label)
        for library in sorted({type_.partition(".")[0] for type_ in types} & CANDIDATE_LIBRARIES.keys()):
            require(library, extra=library, for_=version_label[0].upper() + version_label[1:])
        return skops.io.loads(data, trusted=types)
    except EnvironmentProblem:
        raise
    # Errors of the loader come from library versions that differ from those of the training, or from a user's missing class.
    except Exception as error:
        raise EnvironmentProblem(
            f"{version_label} cannot be loaded: {type(error).__name__}: {error}.",
            fix=f"Compare with the versions it was trained with, in {folder / 'requirements.txt'}, or train again.",
        ) from error


def read_verified_files(folder: Path, sha256: str, version_label: str) -> dict[str, bytes]:
    """Return the files in a folder by name, after their hash has been verified.

    Raises
    ------
    EnvironmentProblem : files are missing or changed
    """
    files = _files(folder, version_label)
    _same(files, sha256, folder, version_label)
    return files


def read_spark(folder: Path, sha256: str, spark: Callable[[], SparkSession], version_label: str) -> PipelineModel:
    """Return the fitted Spark ML model in a folder; the session is started after the files have been verified."""
    files = read_verified_files(folder, sha256, version_label)
    foreign = sorted(
        {
            class_
            for class_ in _spark_classes(files, folder, version_label)
            if not class_.startswith(("org.apache.spark.ml.", "pyspark.ml."))
        }
    )
    if foreign:
        raise EnvironmentProblem(f"{version_label} names classes that are not Spark's: {', '.join(foreign)}.", fix="Train again.")
    from pyspark.ml import PipelineModel

    spark()
    return PipelineModel.load((folder / SPARK).absolute().as_uri())


def model_digest(folder: Path) -> str:
    """Return one hash over the names and bytes of all files in a folder."""
    return _digest(_files(folder, folder.name))


@contextmanager
def renamed_into(target: Path) -> Iterator[Path]:
    """Yield a folder to write into, which becomes ``target`` on success: after a kill the target is complete or absent.

    Folders left by killed trainings are removed, and so is an existing target, because no ledger row names it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    for leftover in target.parent.glob(f"{MAKING}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    draft = target.parent / f"{MAKING}{uuid.uuid4().hex}"
    draft.mkdir()
    try:
        yield draft
        for path in draft.rglob("*"):
            if path.is_file():
                _sync(path)
        if target.exists():
            shutil.rmtree(target)
        draft.rename(target)
        _sync(target.parent)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _files(folder: Path, version_label: str) -> dict[str, bytes]:
    if not folder.is_dir():
        raise EnvironmentProblem(
            f"The files of {version_label} are gone.", where=str(folder), fix="Restore the folder from a backup, or train again."
        )
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def _digest(files: dict[str, bytes]) -> str:
    sha = hashlib.sha256()
    for name, data in sorted(files.items()):
        sha.update(f"{name}\0{len(data)}\0".encode())
        sha.update(data)
    return sha.hexdigest()


def _same(files: dict[str, bytes], sha256: str, folder: Path, version_label: str) -> None:
    actual = _digest(files)
    if actual != sha256:
        raise EnvironmentProblem(
            f"The files of {version_label} are not those that were registered: sha256 {actual[:16]}…, registered {sha256[:16]}….",
            where=str(folder), fix="Restore the folder from a backup, roll back, or train again.", found=actual, registered=sha256,
        )  # fmt: skip


def _spark_classes(files: dict[str, bytes], folder: Path, version_label: str) -> Iterator[str]:
    """Yield the classes that Spark would load.

    Spark reads all files below a folder ``metadata``, regardless of their names, the largest first, and takes the first line. So each such folder
    must hold exactly one file with a name of Spark's and one line, whose JSON has no repeated key.
    """
    folders: dict[str, list[str]] = {}
    for name in sorted(files):
        parent, _, file = name.rpartition("/")
        if "metadata" not in parent.split("/") or file == "_SUCCESS":
            continue
        if parent.rpartition("/")[2] != "metadata" or not _METADATA_FILE.fullmatch(file):
            raise _strange(name, folder, version_label)
        folders.setdefault(parent, []).append(name)
    for names in folders.values():
        lines = re.split(r"\r\n|\n|\r", files[names[0]].decode().rstrip("\r\n"))
        if len(names) > 1 or len(lines) > 1:
            raise _strange(names[-1] if len(names) > 1 else f"{names[0]} of {len(lines)} lines", folder, version_label)
        try:
            yield str(json.loads(lines[0], object_pairs_hook=_once)["class"])
        except (ValueError, KeyError, TypeError):
            raise _strange(names[0], folder, version_label) from None


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a key stands twice")
    return values


def _strange(name: str, folder: Path, version_label: str) -> EnvironmentProblem:
    return EnvironmentProblem(
        f"{version_label} holds {name}, which Spark ML has not written and could read.", where=str(folder), fix="Train again."
    )


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
