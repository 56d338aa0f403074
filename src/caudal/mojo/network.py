"""The feed-forward networks of H2O's deep learning: categories one-hot with a place for missing ones, numbers scaled, layers of one activation."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from caudal.mojo.archive import Archive

ACTIVATIONS = ("Rectifier", "Tanh", "Maxout", "ExpRectifier")


@dataclass(frozen=True)
class Layer:
    """A layer: its weights [channels, outputs, inputs] and biases [channels, outputs]; of several channels (maxout) the greatest counts."""

    weights: NDArray[np.float64]
    biases: NDArray[np.float64]
    activation: str
    kept: float  # the share of a layer's outputs that dropout kept in training

    def outputs(self, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the layer's outputs, float64 [n, outputs]."""
        sums = np.einsum("ni,coi->nco", inputs, self.weights, optimize=True) + self.biases
        active: NDArray[np.float64] = sums.max(axis=1)
        if self.activation == "Rectifier":
            active = np.maximum(active, 0.0)
        elif self.activation == "Tanh":
            active = 1.0 - 2.0 / (1.0 + np.exp(2.0 * active))
        elif self.activation == "ExpRectifier":
            active = np.where(active >= 0, active, np.exp(np.minimum(active, 0.0)) - 1.0)
        return active * self.kept


@dataclass(frozen=True)
class DenseNetwork:
    """A network.

    Parameters
    ----------
    offsets : where the inputs of each category column begin, and where those of numbers do
    subtracted, factors : by which numbers are scaled; empty where they are not
    skips_first : whether the first category of a column has no input
    """

    layers: tuple[Layer, ...]
    offsets: tuple[int, ...]
    subtracted: tuple[float, ...]
    factors: tuple[float, ...]
    skips_first: bool

    @classmethod
    def of(cls, archive: Archive) -> DenseNetwork:
        """Return the network of an archive."""
        sizes, ratios = archive.whole_numbers("neural_network_sizes"), archive.numbers("hidden_dropout_ratios")
        activation = archive.facts["activation"]
        layers = []
        for number, (inputs, outputs) in enumerate(pairwise(sizes)):
            weights, biases = archive.numbers(f"weight_layer{number}"), archive.numbers(f"bias_layer{number}")
            assert weights is not None
            assert biases is not None
            last = number == len(sizes) - 2
            channels = len(biases) // outputs
            dropped = 0.0 if last or ratios is None or not activation.endswith("WithDropout") else float(ratios[number])
            layers.append(
                Layer(
                    weights.astype("float32").astype("float64").reshape(outputs, inputs, channels).transpose(2, 0, 1),
                    biases.reshape(outputs, channels).T,
                    "Linear" if last else activation.removesuffix("WithDropout"),
                    1.0 - dropped,
                )
            )
        subtracted, factors = archive.numbers("norm_sub"), archive.numbers("norm_mul")
        return cls(
            tuple(layers),
            tuple(archive.whole_numbers("cat_offsets")) or (0,),
            () if subtracted is None else tuple(subtracted.tolist()),
            () if factors is None else tuple(factors.tolist()),
            not archive.flag("use_all_factor_levels"),
        )

    def sums(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the outputs of the last layer, float64 [n, outputs]."""
        categories = len(self.offsets) - 1
        numbers = rows[:, categories:]
        if self.factors:
            numbers = (numbers - np.asarray(self.subtracted)) * np.asarray(self.factors)
        inputs = np.zeros((len(rows), self.offsets[-1] + numbers.shape[1]))
        inputs[:, self.offsets[-1] :] = np.where(np.isnan(numbers), 0.0, numbers)
        for column in range(categories):
            value, last = rows[:, column], self.offsets[column + 1] - 1
            place = np.where(np.isnan(value), 0.0, value).astype("int64") - self.skips_first
            at = np.where(np.isnan(value), last, np.minimum(place + self.offsets[column], last))
            shown = np.isnan(value) | (place >= 0)
            inputs[np.flatnonzero(shown), at[shown]] = 1.0
        for layer in self.layers:
            inputs = layer.outputs(inputs)
        return inputs
