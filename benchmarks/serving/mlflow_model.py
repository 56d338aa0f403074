"""Store the pipeline as MLflow's own format: ``mlflow_model.py PIPELINE FOLDER``. Run in an environment of its own."""

from __future__ import annotations

import sys

import joblib
import mlflow.sklearn

mlflow.sklearn.save_model(joblib.load(sys.argv[1]), sys.argv[2], pip_requirements=[], serialization_format="cloudpickle")
