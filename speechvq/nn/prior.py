"""The prior over units: a WaveNet whose samples are units (van den Oord et al. 2017, section 4.3).

Its classes are the units and one more, the boundary between utterances. The boundary is the
class in the middle, A // 2, because that is what the engines read before the first sample:
so a fresh stream of an engine begins an utterance, with nothing before it.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from speechvq.config import PriorConfig
from speechvq.nn.wavenet import WaveNet


class UnitPrior(WaveNet):
    """How likely each unit is after those before it.

    Args:
        config: sizes.
    """

    def __init__(self, config: PriorConfig):
        super().__init__(config, config.codebook_size + 1)
        # Units are names: neither their rows nor their logits begin with neighbours.
        self.embedding = nn.Parameter(torch.randn(config.codebook_size + 1, config.residual))
        self.gate_bias = nn.Parameter(torch.zeros(config.layers, 2 * config.residual))
        nn.init.zeros_(self.output.weight)

    def forward(self, classes: Tensor) -> Tensor:
        """Logits of what follows each class.

        Args:
            classes: [B, T], the first a boundary or what a crop begins with.

        Returns:
            [B, T, A]; position t sees classes up to t.
        """
        B, T = classes.shape
        p = self.config.dropout if self.training else 0.0
        told = self.gate_bias.expand(B, 1, *self.gate_bias.shape)
        skip = F.dropout(F.relu(self.skips(classes, told, p)), p)
        return self.output(F.dropout(F.relu(self.hidden(skip)), p))

    def loss(self, classes: Tensor) -> Tensor:
        """Mean negative log-likelihood in nats of classes [B, T + 1] but the first."""
        logits = self(classes[:, :-1])
        return F.cross_entropy(logits.flatten(0, 1).float(), classes[:, 1:].flatten().long())


def boundary(codebook_size: int) -> int:
    """The class that is no unit."""
    return (codebook_size + 1) // 2


def to_classes(ids: np.ndarray, codebook_size: int) -> np.ndarray:
    """Classes of units: those from the middle on move up by one, to let the boundary in."""
    ids = np.asarray(ids, np.int64)
    return ids + (ids >= boundary(codebook_size))


def to_ids(classes: np.ndarray, codebook_size: int) -> np.ndarray:
    """Units of classes, none of which may be the boundary."""
    classes = np.asarray(classes, np.int64)
    return classes - (classes > boundary(codebook_size))
