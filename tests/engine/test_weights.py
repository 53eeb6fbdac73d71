"""Decoder weights are checked before anything is decoded with them."""

import dataclasses

import numpy as np
import pytest

from speechvq.engine.weights import DecoderWeights, random_weights
from speechvq.errors import ModelError


def arrays(**changes) -> dict:
    weights = random_weights(num_layers=3, residual_channels=6, skip_channels=5, num_classes=9, kernel_size=3, hop_length=4)
    return {field.name: getattr(weights, field.name) for field in dataclasses.fields(weights)} | changes


def test_sizes_are_read_from_the_shapes():
    weights = DecoderWeights.from_arrays(arrays())
    sizes = weights.num_layers, weights.residual_channels, weights.skip_channels, weights.num_classes, weights.kernel_size
    assert sizes == (3, 6, 5, 9, 3)
    assert weights.receptive_field == 1 + 2 * (1 + 2 + 4)
    assert weights.products_per_sample == 3 * (3 * 12 * 6 + 5 * 6) + 2 * 36 + 5 * 5 + 9 * 5
    assert weights.sample_dtype == np.uint8 and random_weights(num_classes=257).sample_dtype == np.uint16


def test_float64_and_strided_arrays_become_contiguous_float32():
    given = arrays(hidden=np.asfortranarray(np.ones((5, 5))))
    taken = DecoderWeights.from_arrays(given).hidden
    assert taken.dtype == np.float32 and taken.flags.c_contiguous


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"skip": np.zeros((3, 5, 7))}, r"skip should be \[3, 5, 6\], is \[3, 5, 7\]"),
        ({"gate": np.zeros((3, 12, 6))}, "axes"),
        ({"residual_bias": np.zeros((3, 6))}, "residual_bias"),
        ({"output_bias": np.full(9, np.nan)}, "output_bias holds values that are not finite"),
        ({"dilations": np.array([1, 0, 2])}, "dilations"),
        ({"hop_length": 0}, "hop_length"),
        ({"gate": np.zeros((3, 4, 12, 6))}, "2 or 3 taps"),
        ({"speaker": np.zeros(3)}, "unknown .'speaker'"),
    ],
)
def test_contradictions_are_named(changes, said):
    with pytest.raises(ModelError, match=said):
        DecoderWeights.from_arrays(arrays(**changes))


def test_a_missing_array_is_named():
    given = arrays()
    del given["hidden"]
    with pytest.raises(ModelError, match="missing .'hidden'"):
        DecoderWeights.from_arrays(given)
