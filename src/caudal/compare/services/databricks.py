"""Databricks as a service: runs of its Jobs API, files of a volume, and event logs as clusters deliver them."""

from __future__ import annotations

import contextlib
import gzip
import logging
import re
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

from caudal.compare.services.service import Service, WorkState
from caudal.compare.services.wheel import ENTRY_POINT
from caudal.compare.services.worker import NO_LAKE
from caudal.errors import EnvironmentProblem
from caudal.extras import require

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

REACH_S = 10.0
RETRIES_S = 60
"""Seconds for which the service may not answer, until that is said."""
LOG_WAIT_S = 360.0
"""Seconds until an event log must have been delivered; a cluster does so every five minutes, and as it ends."""
_LOOK_S = 1.0
_ENDED = ("TERMINATED", "SKIPPED", "INTERNAL_ERROR")
_LOGS = "logs"


class DatabricksService(Service):
    """A workspace.

    Parameters
    ----------
    host, token : its address, and a token of it
    folder : the comparison's own folder on a volume, ``/Volumes/…``
    cluster : what a new cluster is, as the Clusters API says it; or the number of one, which gives no event log
    libraries : names of further distributions that the cluster installs
    lake : where tables lie while the work is done; None: on the driver's disk
    """

    title = "Databricks"

    def __init__(
        self, host: str, token: str, folder: str, cluster: Mapping[str, Any] | str, libraries: Sequence[str] = (), lake: str | None = None
    ) -> None:  # fmt: skip
        self._host, self._folder, self._cluster, self._libraries, self._lake = host, folder, cluster, libraries, lake
        self._sdk = require("databricks.sdk", extra="databricks", for_="caudal compare --on databricks:NAME")
        self._wheel = ""
        self._reach()
        logging.getLogger("databricks.sdk").setLevel(logging.ERROR)  # it warns of what older workspaces do not say of themselves
        with self._problems():
            config = self._sdk.core.Config(host=host, token=token, auth_type="pat", retry_timeout_seconds=RETRIES_S)
            self._client: WorkspaceClient = self._sdk.WorkspaceClient(config=config)

    def _reach(self) -> None:
        """Raise where nothing answers: the library would try for long, and then not say why."""
        try:
            requests.get(f"{self._host}/.well-known/databricks-config", timeout=REACH_S)
        except requests.RequestException as error:
            why = re.findall(r"\[Errno -?\d+\] ([^'\")]+)", str(error)) or [type(error).__name__]
            raise self._unreachable(why[-1]) from None

    def check(self, volume: str) -> None:
        """Raise where the service does not answer, or lets nobody in with this token; where the cluster or the volume does not exist."""
        with self._problems():
            self._client.current_user.me()
        with self._problems("The volume", volume, "Correct 'volume', or create it."):
            self._client.files.get_directory_metadata(volume)
        if isinstance(self._cluster, str):
            with self._problems("The cluster", self._cluster, "Correct 'cluster_id', or give a table 'cluster'."):
                self._client.clusters.get(self._cluster)

    def install(self, wheel: Path) -> None:
        """Store the wheel that each cluster installs."""
        self.send(wheel, wheel.name)
        self._wheel = self._path(wheel.name)

    def send(self, file: Path, name: str) -> None:
        """Store a file on the volume."""
        with self._problems(), file.open("rb") as content:
            self._client.files.create_directory(self._path(name).rpartition("/")[0])
            self._client.files.upload(self._path(name), content, overwrite=True)

    def fetch(self, name: str, file: Path) -> bool:
        """Bring a file of the volume here."""
        with self._problems():
            try:
                self._client.files.download_to(self._path(name), str(file))
            except self._sdk.errors.NotFound:
                file.unlink(missing_ok=True)
                return False
        return True

    def submit(self, title: str, parcel: str, home: str, started_at: float) -> str:
        """Submit a run of one task: the wheel's entry point."""
        jobs, compute = self._sdk.service.jobs, self._sdk.service.compute
        where: dict[str, Any] = (
            {"existing_cluster_id": self._cluster} if isinstance(self._cluster, str) else {"new_cluster": self._new_cluster()}
        )
        libraries = [compute.Library(whl=self._wheel)]
        libraries += [compute.Library(pypi=compute.PythonPyPiLibrary(package=name)) for name in self._libraries]
        arguments = [self._path(parcel), self._path(home), repr(started_at), self._lake_of(parcel)]
        task = jobs.SubmitTask(
            task_key="caudal", python_wheel_task=jobs.PythonWheelTask("caudal", ENTRY_POINT, parameters=arguments), libraries=libraries, **where
        )  # fmt: skip
        token = uuid.uuid4().hex

        def ask() -> str:
            with self._problems():
                return str(self._client.jobs.submit(run_name=title, tasks=[task], idempotency_token=token).run_id)

        return self.submitted_once(ask)

    def state(self, run: str) -> WorkState:
        """Return the state of a run; of one that failed, with the error of its task."""
        with self._problems():
            found = self._client.jobs.get_run(int(run))
            state = found.state
            if state is None or state.life_cycle_state is None or state.life_cycle_state.value not in _ENDED:
                return WorkState(False)
            seconds = (found.end_time - found.start_time) / 1000 if found.end_time and found.start_time else None
            if state.result_state is not None and state.result_state.value == "SUCCESS":
                return WorkState(True, None, seconds)
            error = ""
            with contextlib.suppress(self._sdk.errors.DatabricksError):  # the state's own message stays
                tasks = [each.run_id for each in found.tasks or [] if each.run_id]
                error = self._client.jobs.get_run_output(tasks[0] if tasks else int(run)).error or ""
        why = (error or state.state_message or str(state.result_state and state.result_state.value)).strip().rstrip(".")
        return WorkState(True, f"Databricks could not do it: {why}.", seconds)

    def cancel(self, run: str) -> None:
        """Cancel a run."""
        with self._problems():
            self._client.jobs.cancel_run(int(run))

    def fetch_event_log(self, run: str, folder: Path, *, wait: bool) -> None:
        """Bring the log that the run's own cluster has delivered; that of a cluster that ran before holds other work too, and is left."""
        if isinstance(self._cluster, str):
            return
        with self._problems():
            found = self._client.jobs.get_run(int(run))
            instances = [each.cluster_instance for each in found.tasks or [] if each.cluster_instance]
            if not instances or not instances[0].cluster_id:
                return
            cluster = instances[0].cluster_id
            parts = self._delivered(cluster, time.monotonic() + (LOG_WAIT_S if wait else 0))
            if not parts:
                return
            with (folder / cluster).open("wb") as log:
                for part in parts:
                    copy = folder / ".part"
                    self._client.files.download_to(part, str(copy))
                    with gzip.open(copy) if part.endswith(".gz") else copy.open("rb") as opened:
                        shutil.copyfileobj(opened, log)
                    copy.unlink()

    def clear(self) -> None:
        """Remove the folder of the volume."""
        with self._problems():
            self._remove(self._folder)

    def _path(self, name: str) -> str:
        return f"{self._folder}/{name}"

    def _lake_of(self, parcel: str) -> str:
        return f"{self._lake}/{self._folder.rpartition('/')[2]}-{parcel.partition('/')[0]}" if self._lake else NO_LAKE

    def _new_cluster(self) -> Any:
        logs = {"cluster_log_conf": {"volumes": {"destination": self._path(_LOGS)}}}
        return self._sdk.service.compute.ClusterSpec.from_dict({**dict(self._cluster), **logs})  # type: ignore[arg-type]

    def _delivered(self, cluster: str, until: float) -> list[str]:
        """Return the files of a cluster's event log in their order, once all are there: the cluster has ended, and they grow no more."""
        before: dict[str, int | None] = {}
        while True:
            parts = self._log_parts(f"{self._path(_LOGS)}/{cluster}/eventlog")
            if (parts and parts == before and self._has_ended(cluster)) or time.monotonic() > until:
                # What was rolled goes by its time, and before what was written last.
                return sorted(parts, key=lambda path: (path.endswith("/eventlog"), path))
            before = parts
            time.sleep(_LOOK_S)

    def _log_parts(self, place: str) -> dict[str, int | None]:
        """Return the files of an event log with their sizes. They lie two folders below ``eventlog``: a driver's, then a Spark context's."""
        folders = [place]
        for _ in range(2):
            folders = [path for folder in folders for path in self._paths(folder, folders=True)]
        return self._paths(folders[0], folders=False) if folders else {}

    def _has_ended(self, cluster: str) -> bool:
        state = self._client.clusters.get(cluster).state
        return state is not None and state.value in ("TERMINATED", "ERROR")

    def _paths(self, folder: str, *, folders: bool) -> dict[str, int | None]:
        """Return the folders, or the files, of a folder with their sizes."""
        with contextlib.suppress(self._sdk.errors.NotFound):
            within = list(self._client.files.list_directory_contents(folder))
            return {each.path: each.file_size for each in within if each.path and bool(each.is_directory) == folders}
        return {}

    def _remove(self, folder: str) -> None:
        for path in self._paths(folder, folders=True):
            self._remove(path)
        for path in self._paths(folder, folders=False):
            self._client.files.delete(path)
        with contextlib.suppress(self._sdk.errors.NotFound):
            self._client.files.delete_directory(folder)

    @contextmanager
    def _problems(self, what: str = "", name: str = "", fix: str = "") -> Iterator[None]:
        """Say in a sentence what the service answers.

        Raises
        ------
        EnvironmentProblem : it refuses, or does not answer
        """
        errors = self._sdk.errors
        try:
            yield
        except (errors.Unauthenticated, errors.PermissionDenied) as error:
            refused = "does not take the token" if isinstance(error, errors.Unauthenticated) else "does not allow it"
            raise EnvironmentProblem(
                f"Databricks at {self._host} {refused}: {_told(error)}.",
                fix="Give a token that holds, and may: 'token', or the variable DATABRICKS_TOKEN.",
            ) from None
        except errors.DatabricksError as error:
            if what and isinstance(error, errors.NotFound | errors.BadRequest):
                raise EnvironmentProblem(f"{what} '{name}' is none that Databricks at {self._host} knows.", fix=fix) from None
            raise EnvironmentProblem(
                f"Databricks at {self._host} refuses it: {_told(error)}.", fix="Correct what it names."
            ) from None
        except (OSError, TimeoutError, ValueError) as error:
            raise self._unreachable(_told(error)) from None

    def _unreachable(self, why: str) -> EnvironmentProblem:
        fix = "Correct 'host', or the variable DATABRICKS_HOST."
        return EnvironmentProblem(f"Databricks at {self._host} does not answer: {why}.", fix=fix)


def _told(error: Exception) -> str:
    """Return the first line of an error's text without a full stop, and without the settings that the library adds."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return line.partition(" Config: ")[0].rstrip(".")[:300]
