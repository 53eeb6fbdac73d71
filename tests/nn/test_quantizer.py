"""The quantizer against values recomputed by hand in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from speechvq.config import QuantizerConfig
from speechvq.nn.quantizer import VectorQuantizer, perplexity

K, D = 6, 3


def quantizer(**options) -> VectorQuantizer:
    torch.manual_seed(0)
    return VectorQuantizer(QuantizerConfig(codebook_size=K, **options), D)


def nearest(z: np.ndarray, codebook: np.ndarray) -> np.ndarray:
    return np.square(z[:, None] - codebook[None]).sum(-1).argmin(-1)


def test_each_frame_takes_the_nearest_code():
    q = quantizer().eval()
    z = torch.randn(2, D, 50)
    out = q(z)
    flat = z.double().transpose(1, 2).reshape(-1, D).numpy()
    ids = nearest(flat, q.codebook.double().numpy())
    assert (out.ids.reshape(-1).numpy() == ids).all()
    np.testing.assert_allclose(out.quantized.transpose(1, 2).reshape(-1, D), q.codebook[ids], rtol=1e-6)
    error = np.square(flat - q.codebook.double().numpy()[ids]).mean()
    assert out.commitment.item() == pytest.approx(0.25 * error, rel=1e-5)


def test_gradients_pass_straight_through():
    q = quantizer(commitment_weight=0.0).eval()
    z = torch.randn(1, D, 4, requires_grad=True)
    weight = torch.randn(1, D, 4)
    (q(z).quantized * weight).sum().backward()
    assert torch.equal(z.grad, weight)


def test_moving_averages_are_those_of_the_paper():
    q = quantizer(decay=0.9, restart_below=0.0)
    counts, sums = q.counts.double().numpy().copy(), q.sums.double().numpy().copy()
    z = torch.randn(1, D, 40)
    flat = z[0].T.double().numpy()
    ids = nearest(flat, q.codebook.double().numpy())
    q.train()(z)
    for k in range(K):
        mine = flat[ids == k]
        counts[k] = 0.9 * counts[k] + 0.1 * len(mine) * K / 40
        sums[k] = 0.9 * sums[k] + 0.1 * mine.sum(0) * K / 40
    np.testing.assert_allclose(q.counts, counts, rtol=1e-5)
    np.testing.assert_allclose(q.codebook, sums / counts[:, None], rtol=1e-4, atol=1e-6)


def test_a_dead_code_comes_back_and_stays():
    q = quantizer(decay=0.5, restart_below=0.05)
    q.codebook[0] = 1e3
    q.sums[0] = 1e3
    z = torch.randn(1, D, 400)
    q.train()
    for _ in range(8):
        q(z)
    assert q.codebook.abs().max() < 10, "the sums of a restarted code must be restarted with it"
    assert len(q.eval()(z).ids.unique()) == K


def test_gradient_updates_move_the_codebook():
    q = quantizer(update="gradient", commitment_weight=0.0).eval()
    z = torch.randn(1, D, 40)
    out = q(z)
    out.commitment.backward()
    ids = out.ids[0].numpy()
    for k in range(K):
        mine = z[0].T.numpy()[ids == k]
        expected = 2 * (q.codebook[k].detach().numpy() * len(mine) - mine.sum(0)) / z.numel()
        np.testing.assert_allclose(q.codebook.grad[k], expected, rtol=1e-4, atol=1e-6)


def test_k_means_finds_separate_clusters():
    q = quantizer()
    centres = torch.eye(3).repeat(2, 1) * torch.tensor([10.0] * 3 + [-10.0] * 3)[:, None]
    z = (centres[:, None] + 0.1 * torch.randn(K, 50, D)).reshape(-1, D)
    q.initialise(z, iterations=20)
    error = torch.cdist(z, q.codebook).min(1).values
    # Lloyd's algorithm may leave two clusters under one code; most must be found.
    assert (error < 1.0).float().mean() >= 4 / 6


def test_jitter_takes_neighbours_only():
    q = quantizer(jitter=1.0)
    ids = torch.arange(5)[None]
    jittered = torch.stack([q._jitter(ids) for _ in range(50)])
    assert set((jittered - ids).unique().tolist()) == {-1, 0, 1}
    assert (jittered[:, 0, 1:-1] != ids[0, 1:-1]).all(), "with jitter 1 every inner unit is a neighbour's"


def test_perplexity_counts_codes_in_even_use():
    assert perplexity(torch.tensor([5.0, 5.0, 5.0, 0.0])).item() == pytest.approx(3.0)
    assert perplexity(torch.tensor([7.0, 0.0])).item() == pytest.approx(1.0)
