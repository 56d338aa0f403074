"""EMR Serverless as a service: job runs of an application, files on S3, and event logs as it stores them there."""

from __future__ import annotations

import shlex
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from caudal.compare.services.service import Service, WorkState
from caudal.errors import EnvironmentProblem
from caudal.extras import require

LOG_WAIT_S = 180.0
"""Seconds until an event log must be stored as a whole; it follows the end of the work."""
_LOOK_S = 1.0
_CONNECT_S, _TRIES = 10, 3
_ENTRY = "entry.py"
_ENTRY_TEXT = "from caudal.compare.services.worker import work_on_parcel\n\nwork_on_parcel()\n"
_LOGS = "logs"
_ENDED = ("SUCCESS", "FAILED", "CANCELLED")
_REFUSED = ("UnrecognizedClientException", "InvalidSignatureException", "ExpiredTokenException", "InvalidAccessKeyId", "SignatureDoesNotMatch",
            "AccessDeniedException", "AccessDenied", "403")  # fmt: skip
_LAST_EVENT, _TAIL_BYTES = b'"SparkListenerApplicationEnd"', 4096
_PYTHON = "./environment/bin/python"


class EmrService(Service):
    """An application of EMR Serverless, whose environment or image holds caudal.

    Parameters
    ----------
    application, role : the number of the application, and the ARN of the role that its work has
    folder : the comparison's own folder on S3, ``s3://bucket/…``
    environment : an archive with Python and caudal, ``s3://bucket/….tar.gz``; None: the application's image has both
    spark : settings of Spark
    """

    title = "EMR Serverless"

    def __init__(
        self, application: str, role: str, region: str, folder: str, environment: str | None, spark: Mapping[str, str]
    ) -> None:  # fmt: skip
        boto3 = require("boto3", extra="emr", for_="caudal compare --on emr:NAME")
        self._errors = import_module("botocore.exceptions")
        config = import_module("botocore.config").Config(
            connect_timeout=_CONNECT_S, retries={"max_attempts": _TRIES, "mode": "standard"}
        )
        self._application, self._role, self._region, self._folder = application, role, region, folder
        self._environment, self._spark = environment, spark
        place = urlsplit(folder)
        self._bucket, self._key = place.netloc, place.path.strip("/")
        with self._problems():
            session = boto3.session.Session()  # that of the module keeps the credentials of its first use
            self._emr = session.client("emr-serverless", region_name=region, config=config)
            self._s3 = session.client("s3", region_name=region, config=config)

    def check(self) -> None:
        """Raise where the service does not answer, or lets nobody in; where the application or the bucket does not exist."""
        with self._problems("The application", self._application, "Correct 'application'."):
            self._emr.get_application(applicationId=self._application)
        with self._problems("The bucket", self._bucket, "Correct 'place'."):
            self._s3.head_bucket(Bucket=self._bucket)

    def install(self, folder: Path) -> None:
        """Store the script that the work begins with."""
        script = folder / _ENTRY
        script.write_text(_ENTRY_TEXT)
        self.send(script, _ENTRY)

    def send(self, file: Path, name: str) -> None:
        """Store a file on S3."""
        with self._problems():
            self._s3.upload_file(str(file), self._bucket, f"{self._key}/{name}")

    def fetch(self, name: str, file: Path) -> bool:
        """Bring an object of S3 here."""
        with self._problems():
            key = f"{self._key}/{name}"
            if key not in self._objects(key):
                return False
            self._s3.download_file(self._bucket, key, str(file))
        return True

    def submit(self, title: str, parcel: str, home: str, started_at: float) -> str:
        """Start a job run of the script."""
        number = parcel.partition("/")[0]
        arguments = [self._path(parcel), self._path(home), repr(started_at), self._path(f"{number}/lake")]
        order: dict[str, Any] = {
            "applicationId": self._application, "executionRoleArn": self._role, "name": title, "clientToken": uuid.uuid4().hex,
            "jobDriver": {"sparkSubmit": {
                "entryPoint": self._path(_ENTRY), "entryPointArguments": arguments, "sparkSubmitParameters": self._parameters(),
            }},
            "configurationOverrides": {"monitoringConfiguration": {"s3MonitoringConfiguration": {"logUri": f"{self._path(_LOGS)}/"}}},
        }  # fmt: skip

        def ask() -> str:
            with self._problems():
                return str(self._emr.start_job_run(**order)["jobRunId"])

        return self.submitted_once(ask)

    def state(self, run: str) -> WorkState:
        """Return the state of a job run."""
        with self._problems():
            found = self._emr.get_job_run(applicationId=self._application, jobRunId=run)["jobRun"]
        if found["state"] not in _ENDED:
            return WorkState(False)
        ended: datetime | None = found.get("endedAt")
        seconds = (ended - found["createdAt"]).total_seconds() if ended is not None else None
        if found["state"] == "SUCCESS":
            return WorkState(True, None, seconds)
        why = str(found.get("stateDetails") or found["state"]).strip().rstrip(".")
        return WorkState(True, f"EMR Serverless could not do it: {why}.", seconds)

    def cancel(self, run: str) -> None:
        """Cancel a job run."""
        with self._problems():
            self._emr.cancel_job_run(applicationId=self._application, jobRunId=run)

    def fetch_event_log(self, run: str, folder: Path, *, wait: bool) -> None:
        """Bring the rolled files of the job run's event log."""
        above = f"{self._key}/{_LOGS}/applications/{self._application}/jobs/{run}/sparklogs/"
        with self._problems():
            for key in self._stored(above, time.monotonic() + (LOG_WAIT_S if wait else 0)):
                file = folder / key.removeprefix(above)
                file.parent.mkdir(parents=True, exist_ok=True)
                self._s3.download_file(self._bucket, key, str(file))

    def clear(self) -> None:
        """Remove the folder on S3."""
        with self._problems():
            for key in self._objects(f"{self._key}/"):
                self._s3.delete_object(Bucket=self._bucket, Key=key)

    def _path(self, name: str) -> str:
        return f"{self._folder}/{name}"

    def _parameters(self) -> str:
        """Return the options of spark-submit: the environment with caudal, and the settings."""
        settings = {"spark.emr-serverless.driverEnv.AWS_REGION": self._region}
        if self._environment is not None:
            settings |= {
                "spark.archives": f"{self._environment}#environment", "spark.executorEnv.PYSPARK_PYTHON": _PYTHON,
                "spark.emr-serverless.driverEnv.PYSPARK_DRIVER_PYTHON": _PYTHON, "spark.emr-serverless.driverEnv.PYSPARK_PYTHON": _PYTHON,
            }  # fmt: skip
        return " ".join(f"--conf {shlex.quote(f'{name}={value}')}" for name, value in {**settings, **self._spark}.items())

    def _stored(self, above: str, until: float) -> list[str]:
        """Return the objects of an event log, once its last event is among them, or they grow no more where it is packed."""
        before: dict[str, int] = {}
        while True:
            objects = {key: size for key, size in self._objects(above).items() if "/events_" in key}
            if (objects and self._is_whole(objects, before)) or time.monotonic() > until:
                return list(objects)
            before = objects
            time.sleep(_LOOK_S)

    def _is_whole(self, objects: Mapping[str, int], before: Mapping[str, int]) -> bool:
        newest = max(objects, key=lambda key: int(key.rpartition("/events_")[2].partition("_")[0]))
        if "." in newest.rpartition("/")[2]:
            return objects == before
        tail = self._s3.get_object(Bucket=self._bucket, Key=newest, Range=f"bytes=-{_TAIL_BYTES}")["Body"].read()
        return _LAST_EVENT in tail

    def _objects(self, above: str) -> dict[str, int]:
        """Return the objects whose key begins so, with their sizes."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=above)
        return {each["Key"]: each["Size"] for page in pages for each in page.get("Contents", ())}

    @contextmanager
    def _problems(self, what: str = "", name: str = "", fix: str = "") -> Iterator[None]:
        """Say in a sentence what the service answers.

        Raises
        ------
        EnvironmentProblem : it refuses, or does not answer
        """
        errors = self._errors
        try:
            yield
        except errors.ClientError as error:
            code, told = error.response["Error"].get("Code", ""), str(error.response["Error"].get("Message", "")).rstrip(".")
            if what and code in ("ResourceNotFoundException", "NoSuchBucket", "404", "ValidationException"):
                raise EnvironmentProblem(f"{what} '{name}' is none that AWS knows in {self._region}.", fix=fix) from None
            if code in _REFUSED:
                raise EnvironmentProblem(
                    f"AWS does not let it in: {told or code}.",
                    fix="Give credentials that hold, and may: the variables AWS_…, or a profile.",
                ) from None
            raise EnvironmentProblem(f"AWS refuses it: {told or code}.", fix="Correct what it names.") from None
        except errors.NoCredentialsError:
            raise EnvironmentProblem("There are no credentials of AWS.", fix="Give the variables AWS_…, or a profile.") from None
        except (errors.BotoCoreError, OSError) as error:
            told = str(error).splitlines()[0].rstrip(".")
            raise EnvironmentProblem(
                f"AWS does not answer: {told}.", fix="Correct 'region', or the variables AWS_ENDPOINT_URL…."
            ) from None
