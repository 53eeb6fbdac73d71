"""The decoder's weights as the engines take them: plain float32 arrays, checked once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from speechvq.errors import ModelError


@dataclass(frozen=True)
class DecoderWeights:
    """A WaveNet's weights; L layers, R residual and S skip channels, A classes, K taps.

    x0 is the embedding of the previous sample; in layer l, with z = tanh(a[:R]) sigmoid(a[R:]),
        a = sum_k gate[l, k] @ x_l[t - (K-1-k) * dilations[l]] + conditioning[l]
        x_{l+1} = x_l + residual[l] @ z + residual_bias[l]         (the last layer has none)
        s = skip_bias + sum_l skip[l] @ z_l
        logits = output @ relu(hidden @ relu(s) + hidden_bias) + output_bias
    The gate's bias is part of the conditioning. Before the first sample x is zero in every layer.

    Args:
        embedding: [A, R], one row for each value of the previous sample.
        gate: [L, K, 2R, R]; tap K-1 is the current sample's, rows :R the tanh's, R: the sigmoid's.
        residual: [L-1, R, R].
        residual_bias: [L-1, R].
        skip: [L, S, R].
        skip_bias: [S].
        hidden: [S, S].
        hidden_bias: [S].
        output: [A, S].
        output_bias: [A].
        dilations: int64 [L], in samples.
        hop_length: samples for each frame of conditioning.
    """

    embedding: np.ndarray
    gate: np.ndarray
    residual: np.ndarray
    residual_bias: np.ndarray
    skip: np.ndarray
    skip_bias: np.ndarray
    hidden: np.ndarray
    hidden_bias: np.ndarray
    output: np.ndarray
    output_bias: np.ndarray
    dilations: np.ndarray
    hop_length: int

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray | int]) -> DecoderWeights:
        """Check a dictionary of arrays and take it.

        Args:
            arrays: one entry for each field, shapes as in the class; other entries are refused.

        Returns:
            The weights, float32 and contiguous (copied only where they are not already).

        Raises:
            ModelError: a field is missing or unknown, shapes contradict each other, or a value is not finite.
        """
        names = {field.name for field in fields(cls)}
        if set(arrays) != names:
            missing, unknown = sorted(names - set(arrays)), sorted(set(arrays) - names)
            raise ModelError(f"decoder weights: missing {missing}, unknown {unknown}")
        taken = {name: np.ascontiguousarray(arrays[name], dtype=np.float32) for name in names - {"dilations", "hop_length"}}
        taken["dilations"] = np.ascontiguousarray(arrays["dilations"], dtype=np.int64)
        taken["hop_length"] = int(arrays["hop_length"])
        weights = cls(**taken)
        weights._check()
        return weights

    def _check(self) -> None:
        if self.gate.ndim != 4 or self.skip.ndim != 3 or self.output.ndim != 2:
            raise ModelError(
                f"decoder weights: gate, skip, output should have 4, 3, 2 axes, have "
                f"{self.gate.ndim}, {self.skip.ndim}, {self.output.ndim}"
            )
        layers, taps, _, residual = self.gate.shape
        skip, classes = self.skip.shape[1], self.output.shape[0]
        expected = {
            "embedding": (classes, residual),
            "gate": (layers, taps, 2 * residual, residual),
            "residual": (layers - 1, residual, residual),
            "residual_bias": (layers - 1, residual),
            "skip": (layers, skip, residual),
            "skip_bias": (skip,),
            "hidden": (skip, skip),
            "hidden_bias": (skip,),
            "output": (classes, skip),
            "output_bias": (classes,),
            "dilations": (layers,),
        }
        for name, shape in expected.items():
            array = getattr(self, name)
            if array.shape != shape:
                raise ModelError(f"decoder weights: {name} should be {list(shape)}, is {list(array.shape)}")
            if not np.isfinite(array).all():
                raise ModelError(f"decoder weights: {name} holds values that are not finite")
        if taps not in (2, 3):
            raise ModelError(f"decoder weights: the kernel should have 2 or 3 taps, has {taps}")
        if self.hop_length < 1 or (self.dilations < 1).any():
            raise ModelError("decoder weights: hop_length and dilations should be at least 1")
        if not 2 <= classes <= 65536:
            raise ModelError(f"decoder weights: 2 to 65536 classes are possible, given {classes}")

    @property
    def num_layers(self) -> int:
        """L."""
        return self.gate.shape[0]

    @property
    def kernel_size(self) -> int:
        """K, the taps of a layer's convolution."""
        return self.gate.shape[1]

    @property
    def residual_channels(self) -> int:
        """R."""
        return self.gate.shape[3]

    @property
    def skip_channels(self) -> int:
        """S."""
        return self.skip.shape[1]

    @property
    def num_classes(self) -> int:
        """A, the amplitude classes."""
        return self.output.shape[0]

    @property
    def sample_dtype(self) -> np.dtype:
        """The integer that holds a class: uint8 up to 256 of them, else uint16."""
        return np.dtype(np.uint8 if self.num_classes <= 256 else np.uint16)

    @property
    def receptive_field(self) -> int:
        """How many samples a prediction can look back on."""
        return 1 + int((self.kernel_size - 1) * self.dilations.sum())

    @property
    def products_per_sample(self) -> int:
        """Multiplications of a weight with an activation that one sample costs."""
        return sum(array.size for array in (self.gate, self.residual, self.skip, self.hidden, self.output))


def random_weights(
    num_layers: int = 4,
    residual_channels: int = 16,
    skip_channels: int = 32,
    num_classes: int = 256,
    kernel_size: int = 2,
    dilation_cycle: int = 10,
    hop_length: int = 64,
    seed: int = 0,
) -> DecoderWeights:
    """Weights of a decoder that nobody trained, with activations of ordinary size: for tests and speed measurements.

    Args:
        num_layers: L.
        residual_channels: R.
        skip_channels: S.
        num_classes: A.
        kernel_size: K, 2 or 3.
        dilation_cycle: dilations are 1, 2, 4, ... 2^(dilation_cycle - 1), again and again.
        hop_length: samples for each frame of conditioning.
        seed: of the generator.

    Returns:
        The weights.
    """
    rng = np.random.default_rng(seed)
    L, R, S, A, K = num_layers, residual_channels, skip_channels, num_classes, kernel_size

    def normal(*shape: int, variance: float) -> np.ndarray:
        return (rng.standard_normal(shape) * np.sqrt(variance)).astype(np.float32)

    return DecoderWeights.from_arrays(
        {
            "embedding": normal(A, R, variance=1.0),
            "gate": normal(L, K, 2 * R, R, variance=1 / (K * R)),
            "residual": normal(L - 1, R, R, variance=1 / R),
            "residual_bias": normal(L - 1, R, variance=0.01),
            "skip": normal(L, S, R, variance=4 / (R * L)),
            "skip_bias": normal(S, variance=0.01),
            "hidden": normal(S, S, variance=2 / S),
            "hidden_bias": normal(S, variance=0.01),
            "output": normal(A, S, variance=8 / S),
            "output_bias": normal(A, variance=0.01),
            "dilations": 2 ** (np.arange(L) % dilation_cycle),
            "hop_length": hop_length,
        }
    )
