"""The champion's prediction for each shop and hour."""

from pathlib import Path

from forecasting import predict


def model(dbt, session):
    dbt.ref("candidates")  # it stores the champion
    return predict(dbt.ref("next_hour").df(), Path("model.joblib"))
