"""Muon's steps against singular values and sizes worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from speechvq.config import load_config
from speechvq.model import VQVAE
from speechvq.optimizer import MOMENTUM, Muon, make_optimizers, orthogonal


@pytest.mark.parametrize("shape", [(8, 8), (3, 12, 5), (2, 3, 6, 20)])
def test_singular_values_end_near_one(shape):
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonal(1e3 * torch.randn(shape)))
    # Square random matrices have singular values near 0, which five iterations do not bring up.
    assert values.max() < 1.3
    assert values.median() > 0.6


def test_directions_are_those_of_the_singular_vectors():
    u, _ = torch.linalg.qr(torch.randn(6, 6))
    v, _ = torch.linalg.qr(torch.randn(9, 6))
    given = u @ torch.diag(torch.tensor([5.0, 4.0, 3.0, 2.5, 2.0, 1.0])) @ v.T
    made = u.T @ orthogonal(given) @ v
    assert made.diagonal().min() > 0.6
    assert (made - made.diagonal().diag()).abs().max() < 1e-3


def step_of(gradient, convolutions=(), lr=0.01, **options):
    parameter = torch.nn.Parameter(torch.ones_like(gradient))
    parameter.grad = gradient
    Muon([parameter], {id(parameter)} if convolutions else set(), lr, **options).step()
    return parameter.detach()


def test_a_step_has_the_size_of_adams():
    torch.manual_seed(0)
    moved = 1 - step_of(torch.randn(40, 10))
    assert moved.pow(2).mean().sqrt().item() == pytest.approx(0.2 * 0.01, rel=0.15)


def test_a_stack_moves_as_its_matrices_alone():
    torch.manual_seed(0)
    gradients = torch.randn(3, 7, 4)
    together = step_of(gradients)
    for matrix, gradient in zip(together, gradients, strict=True):
        torch.testing.assert_close(matrix, step_of(gradient))


def test_a_kernel_is_one_matrix_of_all_its_taps():
    torch.manual_seed(0)
    gradient = torch.randn(6, 4, 3)
    torch.testing.assert_close(step_of(gradient, convolutions=True), step_of(gradient.flatten(1)).view(6, 4, 3))


def test_momentum_looks_ahead_and_decay_is_decoupled():
    torch.manual_seed(0)
    gradients = torch.randn(2, 5, 5)
    parameter = torch.nn.Parameter(torch.ones(5, 5))
    optimizer = Muon([parameter], set(), lr=0.1, weight_decay=0.5)
    expected, momentum = torch.ones(5, 5), torch.zeros(5, 5)
    for gradient in gradients:
        parameter.grad = gradient
        optimizer.step()
        momentum = MOMENTUM * momentum + (1 - MOMENTUM) * gradient
        ahead = MOMENTUM * momentum + (1 - MOMENTUM) * gradient
        expected = expected * (1 - 0.1 * 0.5) - 0.1 * 0.2 * math.sqrt(5) * orthogonal(ahead)
    torch.testing.assert_close(parameter.detach(), expected)


def test_every_parameter_has_one_optimizer():
    model = VQVAE(load_config("mini64"), ["a", "b"])
    named = {id(p): name for name, p in model.named_parameters()}
    muon, adam = [[named.pop(id(p)) for group in o.param_groups for p in group["params"]] for o in make_optimizers(model, model.matrices, 0.0)]
    assert not named
    assert {"decoder.gate", "decoder.skip", "decoder.conditioner.leave.weight", "encoder.project.1.weight"} <= set(muon)
    assert {"decoder.embedding", "decoder.output.weight", "speaker.weight", "spectral.weight"} <= set(adam)
    assert not any("bias" in name for name in muon)
