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
        stride: how many inputs become one output, a power of two.
    """

    epochs: int = 30
    batch: int = 16
    learning_rate: float = 3e-3
    width: int = 96
    stride: int = 4


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
        self.strided = nn.ModuleList(
            nn.Conv1d(width, width, 5, stride=2, padding=2) for _ in range(budget.stride.bit_length() - 1)
        )
        self.norms = nn.ModuleList(nn.GroupNorm(1, width) for _ in self.strided)
        self.dropout = nn.Dropout(0.2)
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
        x = self.dropout(self.front(inputs)).transpose(1, 2)
        for conv, norm in zip(self.strided, self.norms, strict=True):
            x = torch.relu(norm(conv(_silenced(x, lengths))))
            lengths = (lengths + 1) // 2
            x = self.dropout(x)
        packed = nn.utils.rnn.pack_padded_sequence(x.transpose(1, 2), lengths, batch_first=True, enforce_sorted=False)
        x, _ = nn.utils.rnn.pad_packed_sequence(self.recurrent(packed)[0], batch_first=True)
        return self.head(self.dropout(x)).log_softmax(-1), lengths


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
            scores, counts = model(*_padded([_masked(examples.inputs[row], order) for row in rows]))
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


def _masked(values: np.ndarray, order: np.random.Generator) -> np.ndarray:
    """A tenth of the inputs taken away, in spans: a recogniser must not hang on single units."""
    span = max(len(values) // 20, 1)
    keep = np.ones(len(values), bool)
    for start in order.integers(0, len(values), 2):
        keep[start : start + span] = len(values) <= 4 * span
    return values[keep]


def _padded(values: list[np.ndarray]) -> tuple[Tensor, Tensor]:
    lengths = torch.tensor([len(x) for x in values])
    return nn.utils.rnn.pad_sequence([torch.from_numpy(x) for x in values], batch_first=True), lengths


def _silenced(x: Tensor, lengths: Tensor) -> Tensor:
    """Zero what is padding, so that a batch's longest does not change the others."""
    return x * (torch.arange(x.shape[2]) < lengths[:, None])[:, None]
