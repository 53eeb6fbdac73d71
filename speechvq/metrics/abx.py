"""ABX: is X, a phone, closer to A, the same phone, than to B, another phone in the same context?

Error rates are averaged as Libri-light's evaluation and the ZeroSpeech challenges do:
over the triples of one context (and speaker of X), over those, over speakers of A and
B, and last over ordered pairs of phones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit, prange

from speechvq.errors import InputError
from speechvq.metrics.abx_items import Item
from speechvq.metrics.dtw import mean_path_cost

DISTANCES = ("cosine", "euclidean", "identity")


@dataclass(frozen=True)
class Result:
    """Error rates in [0, 1], None where no triple exists, and the number of triples behind them."""

    within: float | None
    across: float | None
    within_triples: int
    across_triples: int


def abx(
    items: Sequence[Item], features: Sequence[np.ndarray], distance: str = "cosine", max_tokens: int = 10, seed: int = 0
) -> Result:
    """Error rates within and across speakers.

    Args:
        items: what each token is.
        features: its frames [n, D], none empty; for "identity" [n, 1] units.
        distance: between frames: "cosine" (the angle, over pi), "euclidean" or "identity" (0 or 1);
            tokens are compared by the mean of it along their best warping.
        max_tokens: of one speaker, context and phone; more are thinned at random.
        seed: of the thinning.

    Raises:
        InputError: another distance.

    Source: Schatz et al. 2013; Dunbar et al. 2017, "The Zero Resource Speech Challenge 2017"; Kahn et al. 2020 (Libri-light).
    """
    if distance not in DISTANCES:
        raise InputError(f"unknown distance '{distance}': use {', '.join(DISTANCES)}")
    groups = [group for group in _by_context(items, max_tokens, seed) if len({items[i].phone for i in group}) > 1]
    pairs = [np.array(np.triu_indices(len(group), 1)).T for group in groups]
    tokens = np.concatenate([np.array(group)[pair] for group, pair in zip(groups, pairs, strict=True)] or [np.zeros((0, 2), int)])
    flat = np.concatenate(features).astype(np.float64) if len(features) else np.zeros((0, 1))
    if distance == "cosine":
        flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)
    lengths = np.array([len(token) for token in features], np.int64)
    found = _token_distances(flat, np.cumsum(lengths) - lengths, lengths, tokens, DISTANCES.index(distance))
    within, across = _Mean(), _Mean()
    at = 0
    for group, pair in zip(groups, pairs, strict=True):
        matrix = np.zeros((len(group), len(group)))
        matrix[tuple(pair.T)] = found[at : at + len(pair)]
        at += len(pair)
        _score_context([items[i] for i in group], matrix + matrix.T, within, across)
    return Result(within.value(), across.value(), within.triples, across.triples)


class _Mean:
    """Errors of cells, averaged over the cells of a speaker, then speakers, then phone pairs."""

    def __init__(self):
        self.triples = 0
        self._cells: dict[tuple[str, str], dict[str, list[float]]] = {}

    def add(self, phones: tuple[str, str], speaker: str, to_a: np.ndarray, to_b: np.ndarray, own: bool) -> None:
        # to_a [X, A] and to_b [X, B] are distances; where X and A are one set, a token is not compared with itself.
        wrong = (to_b[:, None, :] < to_a[:, :, None]) + 0.5 * (to_b[:, None, :] == to_a[:, :, None])
        if own:
            wrong = wrong[~np.eye(len(wrong), dtype=bool)]
        if wrong.size:
            self._cells.setdefault(phones, {}).setdefault(speaker, []).append(float(wrong.mean()))
            self.triples += wrong.size

    def value(self) -> float | None:
        means = [np.mean([np.mean(cells) for cells in by_speaker.values()]) for by_speaker in self._cells.values()]
        return float(np.mean(means)) if means else None


def _by_context(items: Sequence[Item], max_tokens: int, seed: int) -> list[list[int]]:
    rng = np.random.default_rng(seed)
    groups: dict[tuple[str, str], dict[tuple[str, str], list[int]]] = {}
    for index in rng.permutation(len(items)):
        item = items[index]
        tokens = groups.setdefault((item.previous, item.next), {}).setdefault((item.speaker, item.phone), [])
        if len(tokens) < max_tokens:
            tokens.append(int(index))
    return [[i for tokens in group.values() for i in tokens] for group in groups.values()]


def _score_context(items: list[Item], distances: np.ndarray, within: _Mean, across: _Mean) -> None:
    tokens: dict[tuple[str, str], list[int]] = {}
    for index, item in enumerate(items):
        tokens.setdefault((item.speaker, item.phone), []).append(index)
    for (speaker, phone), a in tokens.items():
        for b_speaker, b_phone in tokens:
            if b_speaker != speaker or b_phone == phone:
                continue
            b = tokens[b_speaker, b_phone]
            within.add((phone, b_phone), speaker, distances[np.ix_(a, a)], distances[np.ix_(a, b)], own=True)
            for x_speaker, x_phone in tokens:
                if x_phone == phone and x_speaker != speaker:
                    x = tokens[x_speaker, x_phone]
                    across.add((phone, b_phone), speaker, distances[np.ix_(x, a)], distances[np.ix_(x, b)], own=False)


@njit(cache=True, parallel=True)
def _token_distances(frames, starts, lengths, pairs, kind):
    found = np.empty(len(pairs))
    for index in prange(len(pairs)):
        a, b = pairs[index]
        cost = np.empty((lengths[a], lengths[b]))
        for i in range(lengths[a]):
            for j in range(lengths[b]):
                cost[i, j] = _frame_distance(frames[starts[a] + i], frames[starts[b] + j], kind)
        found[index] = mean_path_cost(cost)
    return found


@njit(cache=True)
def _frame_distance(x, y, kind):
    if kind == 0:
        dot = 0.0
        for d in range(len(x)):
            dot += x[d] * y[d]
        return np.arccos(min(1.0, max(-1.0, dot))) / np.pi
    if kind == 1:
        square = 0.0
        for d in range(len(x)):
            square += (x[d] - y[d]) ** 2
        return np.sqrt(square)
    return 0.0 if x[0] == y[0] else 1.0
