"""Metrics of predictions: one a file, found by ``METRIC``; ``judged`` holds the predictions and labels that they compare."""
