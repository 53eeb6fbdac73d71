"""The vector quantizer: each frame becomes the nearest of K vectors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from speechvq.config import QuantizerConfig


@dataclass
class QuantizerOutput:
    """What a quantizer makes of a batch.

    Args:
        quantized: [B, D, N]; gradients pass straight through to the encoder.
        ids: [B, N] in [0, K).
        commitment: scalar loss, already weighted; with gradient updates it holds the codebook's loss too.
        perplexity: scalar, exp(entropy) of the codes in this batch, in [1, K].
    """

    quantized: Tensor
    ids: Tensor
    commitment: Tensor
    perplexity: Tensor


class VectorQuantizer(nn.Module):
    """A codebook that learns by moving averages or by gradient (van den Oord et al. 2017, section 3.2, appendix A.1).

    Codes that fall out of use are restarted on encoder outputs, together with the
    sums behind the moving averages, which would otherwise drag them back.

    Args:
        config: size and update rule.
        code_dim: D.
    """

    def __init__(self, config: QuantizerConfig, code_dim: int):
        super().__init__()
        self.config = config
        K = config.codebook_size
        codebook = torch.randn(K, code_dim)
        if config.update == "gradient":
            self.codebook = nn.Parameter(codebook)
        else:
            self.register_buffer("codebook", codebook)
        self.register_buffer("counts", torch.ones(K))
        self.register_buffer("sums", codebook.clone())

    def forward(self, z: Tensor) -> QuantizerOutput:
        """Quantize a batch; while training, also move the codebook (EMA) and restart dead codes.

        Args:
            z: [B, D, N] encoder outputs.
        """
        z = z.float()
        ids = self.encode(z)
        if self.training:
            self._follow(z.detach().transpose(1, 2).reshape(-1, z.shape[1]), ids.reshape(-1))
        quantized = self.decode(ids)
        commitment = self.config.commitment_weight * F.mse_loss(z, quantized.detach())
        if self.config.update == "gradient":
            commitment = commitment + F.mse_loss(quantized, z.detach())
        usage = torch.bincount(ids.reshape(-1), minlength=len(self.codebook))
        if self.training and self.config.jitter > 0:
            quantized = self.decode(self._jitter(ids))
        straight = z + (quantized - z).detach()
        return QuantizerOutput(straight, ids, commitment, perplexity(usage))

    def encode(self, z: Tensor) -> Tensor:
        """Nearest codes: [B, D, N] -> ids [B, N]."""
        flat = z.transpose(1, 2)
        # |z|^2 is the same for every code, so the nearest code needs only the other two terms.
        distance = self.codebook.square().sum(1) - 2 * flat @ self.codebook.T
        return distance.argmin(-1)

    def decode(self, ids: Tensor) -> Tensor:
        """Codebook vectors: ids [B, N] -> [B, D, N]."""
        return F.embedding(ids, self.codebook).transpose(1, 2)

    @torch.no_grad()
    def initialise(self, z: Tensor, iterations: int = 15) -> None:
        """Set the codebook by k-means on real encoder outputs.

        Args:
            z: [M, D] outputs, many more than K.
            iterations: of Lloyd's algorithm.
        """
        K = len(self.codebook)
        z = z.float()
        pick = torch.randperm(len(z), device=z.device)
        centres = z[pick[torch.arange(K, device=z.device) % len(z)]].clone()
        for _ in range(iterations):
            self.codebook.copy_(centres)
            ids = self.encode(z.T[None])[0]
            counts, sums = self._statistics(z, ids)
            centres = sums / counts.clamp(min=1)[:, None]
            empty = (counts == 0).nonzero()[:, 0]
            centres[empty] = z[torch.randint(len(z), (len(empty),), device=z.device)]
        self.codebook.copy_(centres)
        share = counts.clamp(min=1) / counts.clamp(min=1).mean()
        self.counts.copy_(share)
        self.sums.copy_(centres * share[:, None])

    @torch.no_grad()
    def _follow(self, z: Tensor, ids: Tensor) -> None:
        counts, sums = self._statistics(z, ids)
        # Counts are kept in units of the even share, so that thresholds do not depend on the batch.
        scale = len(self.codebook) / len(z)
        decay = self.config.decay
        self.counts.mul_(decay).add_(counts * scale, alpha=1 - decay)
        self.sums.mul_(decay).add_(sums * scale, alpha=1 - decay)
        self._restart(z)
        if self.config.update == "ema":
            self.codebook.copy_(self.sums / self.counts.clamp(min=1e-5)[:, None])

    def _restart(self, z: Tensor) -> None:
        dead = (self.counts < self.config.restart_below).nonzero()[:, 0]
        if not len(dead):
            return
        fresh = z[torch.randint(len(z), (len(dead),), device=z.device)]
        # Half the even share: enough to live on until real use shows, in counts and in sums alike.
        self.counts[dead] = 0.5
        self.sums[dead] = 0.5 * fresh
        if self.config.update == "gradient":
            self.codebook.data[dead] = fresh

    def _statistics(self, z: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
        K = len(self.codebook)
        counts = torch.bincount(ids, minlength=K).to(z.dtype)
        sums = torch.zeros(K, z.shape[1], dtype=z.dtype, device=z.device).index_add_(0, ids, z)
        return counts, sums

    def _jitter(self, ids: Tensor) -> Tensor:
        # Each unit takes its left or right neighbour's value with probability jitter / 2 (Chorowski et al. 2019, section III-D).
        draw = torch.rand(ids.shape, device=ids.device)
        left = torch.cat([ids[:, :1], ids[:, :-1]], dim=1)
        right = torch.cat([ids[:, 1:], ids[:, -1:]], dim=1)
        half = self.config.jitter / 2
        return torch.where(draw < half, left, torch.where(draw < 2 * half, right, ids))


def perplexity(counts: Tensor) -> Tensor:
    """exp(entropy) of a histogram of codes [K]; between 1 and K."""
    p = counts / counts.sum().clamp(min=1)
    return torch.exp(-torch.special.xlogy(p, p).sum())
