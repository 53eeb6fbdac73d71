"""Philox against the known answers that the authors publish with Random123, and its numba twin against it."""

import numpy as np
import pytest

from speechvq.engine.cpu_draw import uniform_at
from speechvq.engine.philox import philox4x32, uniform

# Random123's tests/kat_vectors: "philox4x32 10", counter, key, answer.
KNOWN = [
    ([0, 0, 0, 0], [0, 0], [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
    (
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
        [0xA4093822, 0x299F31D0],
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ),
]


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN)
def test_known_answers(counter, key, answer):
    assert philox4x32(np.array(counter, np.uint32), np.array(key, np.uint32)).tolist() == answer


def test_uniform_is_the_top_24_bits_of_the_first_word():
    assert uniform(np.uint64(0), np.uint64(0)) == np.float32((0x6627E8D5 >> 8) * 2.0**-24)
    u = uniform(np.arange(3, dtype=np.uint64)[:, None], np.arange(20000))
    assert u.dtype == np.float32 and u.shape == (3, 20000) and u.min() >= 0 and u.max() < 1
    assert abs(u.mean() - 0.5) < 0.005 and abs(np.corrcoef(u)[0, 1]) < 0.03


@pytest.mark.parametrize("seed", [0, 1, 2**63 + 12345, 2**64 - 1])
def test_compiled_form_agrees(seed):
    times = np.array([0, 1, 77, 2**32 - 1, 2**32 + 5])
    assert [uniform_at(np.uint64(seed), t) for t in times] == uniform(np.uint64(seed), times).tolist()
