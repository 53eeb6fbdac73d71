"""One step of training, for all models: Muon for the matrices, Adam for tables, biases and gains."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from speechvq.config import PriorTrainConfig, TrainConfig

# Of Newton and Schulz's iteration, as tuned by Jordan 2024: fast rather than exact, singular values end between 0.7 and 1.2.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
MOMENTUM = 0.95
# The root mean square of Adam's steps, so that one learning rate serves both (Liu et al. 2025, arXiv 2502.16982).
STEP_SIZE = 0.2
FINAL_SHARE = 0.05


class Muon(torch.optim.Optimizer):
    """Momentum whose steps are made orthogonal, matrix by matrix (Jordan 2024, kellerjordan.github.io/posts/muon).

    Args:
        params: each a convolution's kernel [out, in, window], or one matrix or a stack of them [..., out, in].
        convolutions: those of them that are kernels.
        lr: learning rate, on Adam's scale.
        weight_decay: decoupled.
    """

    def __init__(self, params: list[Tensor], convolutions: set[int], lr: float, weight_decay: float = 0.0):
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})
        self.convolutions = convolutions

    @torch.no_grad()
    def step(self) -> None:
        """Make one step."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
                momentum = state["momentum"].lerp_(parameter.grad, 1 - MOMENTUM)
                ahead = parameter.grad.lerp(momentum, MOMENTUM)  # Nesterov's
                matrices = ahead.flatten(1) if id(parameter) in self.convolutions else ahead
                size = STEP_SIZE * math.sqrt(max(matrices.shape[-2:]))
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(orthogonal(matrices).view_as(parameter), alpha=-group["lr"] * size)


def orthogonal(matrices: Tensor) -> Tensor:
    """The nearest matrices [..., n, m] whose singular values are all about 1."""
    a, b, c = COEFFICIENTS
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


def make_optimizers(model: nn.Module, matrices: list[Tensor], weight_decay: float) -> list[torch.optim.Optimizer]:
    """The optimizers of a model; the learning rate is the trainer's to set.

    Args:
        model: whose parameters are trained.
        matrices: those of them that Muon trains: kernels of convolutions, and stacks of matrices.
        weight_decay: decoupled, of both.
    """
    chosen = set(map(id, matrices))
    kernels = {id(m.weight) for m in model.modules() if isinstance(m, nn.Conv1d)}
    others = [p for p in model.parameters() if id(p) not in chosen]
    return [
        Muon(matrices, kernels & chosen, 0.0, weight_decay),
        torch.optim.AdamW(others, lr=0.0, betas=(0.9, 0.98), weight_decay=weight_decay, foreach=True),
    ]


def learning_rate(train: TrainConfig | PriorTrainConfig, step: int, since: int) -> float:
    """The learning rate of a step: linear warm-up, then level, then a cosine down to a twentieth.

    Args:
        train: how to train.
        step: of all steps.
        since: steps since the warm-up began.
    """
    warm = min(1.0, (since + 1) / (train.warmup_steps + 1))
    start = train.decay_from * train.steps
    done = max(0.0, (step - start) / max(1.0, train.steps - start))
    return train.learning_rate * warm * (FINAL_SHARE + (1 - FINAL_SHARE) * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))


def update(model: nn.Module, loss: Tensor, optimizers: list[torch.optim.Optimizer], rate: float, clip_norm: float) -> None:
    """Go one step down a loss.

    Args:
        model: whose parameters change.
        loss: a scalar.
        optimizers: of the model.
        rate: the learning rate.
        clip_norm: largest gradient norm.
    """
    model.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()


@torch.no_grad()
def follow(average: nn.Module, model: nn.Module, decay: float, step: int) -> None:
    """Let a moving average of a model's weights follow it.

    Args:
        average: a copy of the model, changed in place.
        model: whose weights it follows; buffers are copied.
        decay: of the average. Young averages forget faster, or they would remember the random start for a long time.
        step: steps done before this one.
    """
    decay = min(decay, (1 + step) / (10 + step))
    torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - decay)
    for old, current in zip(average.buffers(), model.buffers(), strict=True):
        old.copy_(current)
