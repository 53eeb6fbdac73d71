"""A trained prior at work: it scores units, and draws them, through the decoder's engines."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import numpy as np

from speechvq.checkpoint import load_prior
from speechvq.engine import DecoderWeights, EngineState, make_engine
from speechvq.errors import ModelError
from speechvq.nn.prior import boundary, to_classes, to_ids

# Units at a time, of scoring and of drawing; a frame of the engine is one such piece.
PIECE = 64


class Prior:
    """A prior's directory opened for use.

    Args:
        path: the directory.
        threads: for one stream; None for as many as help.

    Raises:
        ModelError: the directory cannot be used.
    """

    def __init__(self, path: str | os.PathLike, threads: int | None = None):
        self.path = path
        module = load_prior(path)
        self.config = module.config
        # Units are few beside samples: a processor is fast enough, and the precision need not be low.
        self._engine = make_engine(DecoderWeights.from_arrays(module.weights(PIECE)), "cpu", "float32", threads)
        self._told = module.gate_bias.detach().numpy()[None, :, :, None]

    def require(self, codebook_size: int, hop_length: int, sample_rate: int, model_hash: str, origin: str) -> None:
        """Refuse units of another model: the same number means another sound there.

        Args:
            codebook_size: K of the units.
            hop_length: samples per unit.
            sample_rate: in Hz.
            model_hash: of the encoder and codebook that made them; empty where nobody knows.
            origin: what to call them.

        Raises:
            ModelError: they are not of the kind that this prior was trained on.
        """
        own = self.config
        told = "units of model {3} (codebook {0}, hop {1}, {2} Hz)".format
        known = told(own.codebook_size, own.hop_length, own.sample_rate, own.model_hash or "(unknown)")
        given = told(codebook_size, hop_length, sample_rate, model_hash or "(unknown)")
        if given != known:
            raise ModelError(
                f"the prior {self.path} knows {known}, but {origin} has {given}: encode with that model, or train a prior on these units"
            )

    def score(self, ids: np.ndarray) -> np.ndarray:
        """How surprising each unit of an utterance is.

        Args:
            ids: [N].

        Returns:
            float64 [N], in nats: -log p(unit | those before it).
        """
        classes = to_classes(ids, self.config.codebook_size)[None]
        return np.concatenate([np.zeros(0), *self._follow(self._engine.start(1, 0), classes)], axis=-1)

    def generate(
        self, seeds: Sequence[int], most: int, temperature: float = 1.0, top_p: float = 1.0, prompt: Sequence[int] | np.ndarray = ()
    ) -> list[np.ndarray]:
        """Draw utterances.

        Args:
            seeds: one for each.
            most: units, after which an utterance is cut off if it has not ended.
            temperature: divides the logits; 0 takes the likeliest unit.
            top_p: draw only from the likeliest units that together hold this share.
            prompt: [N] units that every utterance begins with, and that count among `most`.

        Returns:
            ids of each, the prompt included.
        """
        K = self.config.codebook_size
        state = self._engine.start(len(seeds), seeds, temperature, top_p)
        drawn = np.tile(to_classes(prompt, K), (len(seeds), 1))[:, :most]
        for _ in self._follow(state, drawn):
            pass
        while drawn.shape[1] < most and not (drawn == boundary(K)).any(1).all():
            self._push_for(state, PIECE)
            drawn = np.concatenate([drawn, self._engine.generate(state, PIECE)], axis=1)
        return [to_ids(row[: self._end(row[:most])], K) for row in drawn]

    def _follow(self, state: EngineState, classes: np.ndarray) -> Iterator[np.ndarray]:
        """Lead all streams over given classes [B, n]; yields how surprising those of the first were, piece by piece."""
        for at in range(0, classes.shape[1], PIECE):
            piece = classes[:, at : at + PIECE]
            self._push_for(state, piece.shape[1])
            logs = self._engine.score(state, piece)[0]
            yield -np.take_along_axis(logs, piece[0, :, None], axis=-1)[:, 0].astype(np.float64)

    def _push_for(self, state: EngineState, n: int) -> None:
        while self._engine.available(state) < n:
            self._engine.push(state, np.repeat(self._told, state.batch, axis=0))

    def _end(self, row: np.ndarray) -> int:
        ends = np.flatnonzero(row == boundary(self.config.codebook_size))
        return int(ends[0]) if len(ends) else len(row)
