"""Predictions by a published model."""

from caudal.stages.predict.batch import predict, predict_on_spark, rows_to_predict

__all__ = ["predict", "predict_on_spark", "rows_to_predict"]
