"""A small recogniser in plain PyTorch that reads exported units: embedding, strided convolutions, a GRU, CTC.

Source of the loss: Graves et al. 2006, Connectionist Temporal Classification.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

BLANK = 0
MASKS = 3


@dataclass(frozen=True)
class Examples:
    """What a recogniser is trained on or tested with.

    Args:
        utts: n names.
        inputs: of each, units [N] or feature vectors [N, C].
        texts: of each, what is said.
        size: K of units, or C of vectors.
    """

    utts: list[str]
    inputs: list[np.ndarray]
    texts: list[str]
    size: int

    def __len__(self) -> int:
        return len(self.utts)


@dataclass(frozen=True)
class Budget:
    """What every input gets alike.

    Args:
        epochs: passes over the training set.
        batch: utterances in a step.
        learning_rate: at its highest.
        width: of every layer.
        stride: how many inputs become one output.
        dropout: share of activations dropped in training.
        masked: share of inputs taken away in training, in spans.
    """

    epochs: int = 20
    batch: int = 16
    learning_rate: float = 3e-3
    width: int = 64
    stride: int = 4
    dropout: float = 0.3
    masked: float = 0.3


def read_examples(directory: Path) -> Examples:
    """Read an exported set: `units.txt` (kaldi-text) or `features.npz`, with `text` beside it.

    Args:
        directory: of one set.
    """
    import json

    texts = dict(line.rstrip("\n").partition(" ")[::2] for line in open(directory / "text", encoding="utf-8"))
    if (directory / "units.txt").exists():
        size = json.loads((directory / "speechvq.json").read_text())["codebook_size"]
        rows = (line.split() for line in open(directory / "units.txt", encoding="utf-8"))
        inputs = {utt: np.array(ids, np.int64) for utt, *ids in rows}
    else:
        with np.load(directory / "features.npz", allow_pickle=False) as data:
            parts = np.split(data["features"], data["offsets"][1:-1])
            inputs = dict(zip(data["utts"].astype(str).tolist(), parts, strict=True))
        size = parts[0].shape[1]
    utts = [utt for utt in inputs if texts.get(utt)]
    return Examples(utts, [inputs[utt] for utt in utts], [texts[utt] for utt in utts], size)


class Labels:
    """Words or characters as numbers from 1; 0 is the blank.

    Args:
        texts: to find the labels in.
        kind: `words` or `characters`.
    """

    def __init__(self, texts: Sequence[str], kind: str):
        self.kind = kind
        self.names = ["", *sorted({label for text in texts for label in self.split(text)})]
        self._numbers = {name: number for number, name in enumerate(self.names)}

    def split(self, text: str) -> list[str]:
        """A text as labels."""
        return text.split() if self.kind == "words" else list(text)

    def numbers(self, text: str) -> list[int]:
        """A text as numbers; labels that training did not have are left out."""
        return [self._numbers[label] for label in self.split(text) if label in self._numbers]


class Recogniser(nn.Module):
    """Inputs to log-probabilities of labels.

    Args:
        size: K of units (integer inputs), or C of vectors.
        vectors: inputs are vectors.
        num_labels: with the blank.
        budget: width and stride.
    """

    def __init__(self, size: int, vectors: bool, num_labels: int, budget: Budget):
        super().__init__()
        width = budget.width
        self.stride = budget.stride
        self.front = nn.Linear(size, width) if vectors else nn.Embedding(size, width)
        stride = budget.stride
        self.strided = nn.Conv1d(width, width, 2 * stride + 1, stride, padding=stride)
        self.conv = nn.Conv1d(width, width, 5, padding=2)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.dropout = nn.Dropout(budget.dropout)
        self.recurrent = nn.GRU(width, width // 2, bidirectional=True, batch_first=True)
        self.head = nn.Linear(width, num_labels)

    def forward(self, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Score a padded batch.

        Args:
            inputs: [B, N] units or [B, N, C] vectors.
            lengths: [B] how many of each are not padding.

        Returns:
            log-probabilities [B, M, labels] and how many outputs of each count, [B].
        """
        x = self._convolved(self.strided, self.norms[0], self.front(inputs), lengths)
        lengths = -(-lengths // self.stride)
        x = self._convolved(self.conv, self.norms[1], x, lengths)
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        x, _ = nn.utils.rnn.pad_packed_sequence(self.recurrent(packed)[0], batch_first=True)
        return self.head(self.dropout(x)).log_softmax(-1), lengths

    def _convolved(self, conv: nn.Conv1d, norm: nn.LayerNorm, x: Tensor, lengths: Tensor) -> Tensor:
        # What is padding is zeroed, so that a batch's longest does not change the others.
        x = x * (torch.arange(x.shape[1]) < lengths[:, None])[:, :, None]
        return self.dropout(torch.relu(norm(conv(x.transpose(1, 2)).transpose(1, 2))))


def train(examples: Examples, labels: Labels, budget: Budget, seed: int) -> Recogniser:
    """Train a recogniser on a fixed budget.

    Args:
        examples: to learn from.
        labels: of their texts.
        budget: how large and how long.
        seed: of the weights, the order and the dropout.
    """
    torch.manual_seed(seed)
    order = np.random.default_rng(seed)
    vectors = examples.inputs[0].ndim == 2
    model = Recogniser(examples.size, vectors, len(labels.names), budget)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=1e-2)
    steps = budget.epochs * -(-len(examples) // budget.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, budget.learning_rate, total_steps=steps, pct_start=0.1)
    for _ in range(budget.epochs):
        for rows in _batches(examples, budget.batch, order):
            scores, counts = model(*_padded([_masked(examples.inputs[row], budget.masked, order) for row in rows]))
            targets = [labels.numbers(examples.texts[row]) for row in rows]
            flat = torch.tensor([number for target in targets for number in target])
            sizes = torch.tensor([len(target) for target in targets])
            loss = nn.functional.ctc_loss(scores.transpose(0, 1), flat, counts, sizes, BLANK, zero_infinity=True)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    return model.eval()


@torch.inference_mode()
def recognise(model: Recogniser, examples: Examples, labels: Labels, batch: int = 32) -> list[list[str]]:
    """The best path's labels of every example."""
    found = []
    for start in range(0, len(examples), batch):
        scores, counts = model(*_padded(examples.inputs[start : start + batch]))
        for path, count in zip(scores.argmax(-1), counts, strict=True):
            runs = torch.unique_consecutive(path[:count]).tolist()
            found.append([labels.names[number] for number in runs if number != BLANK])
    return found


def _batches(examples: Examples, size: int, order: np.random.Generator) -> Iterator[list[int]]:
    """Every example once, those of like lengths together, in random order."""
    lengths = np.array([len(x) for x in examples.inputs])
    rows = np.argsort(lengths * order.uniform(0.8, 1.25, len(lengths)))
    batches = [rows[start : start + size].tolist() for start in range(0, len(rows), size)]
    order.shuffle(batches)
    return iter(batches)


def _masked(values: np.ndarray, share: float, order: np.random.Generator) -> np.ndarray:
    """Inputs without some spans: a recogniser must not hang on single units."""
    keep = np.ones(len(values), bool)
    span = int(len(values) * share / MASKS)
    for start in order.integers(0, len(values) - span + 1, MASKS):
        keep[start : start + span] = False
    return values[keep]


def _padded(values: list[np.ndarray]) -> tuple[Tensor, Tensor]:
    lengths = torch.tensor([len(x) for x in values])
    return nn.utils.rnn.pad_sequence([torch.from_numpy(x) for x in values], batch_first=True), lengths
