"""Whose voice is it? A simple check that shares nothing with the models it judges."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np

from speechvq.errors import InputError
from speechvq.metrics.mfcc import add_deltas, mfcc

NUM_CEPSTRA = 20
PIECE_FRAMES = 150
QUIET_DB = 40.0


class SpeakerCheck:
    """Voice vectors: linear discriminants of the statistics of MFCC in speech.

    An utterance is cut into pieces of at least 1.5 s; each becomes the means and
    deviations of its MFCC 1 to 19 and their differences, and discriminant analysis
    finds the directions that tell the training speakers apart.

    Args:
        recordings: samples [T] at 16 kHz of each training speaker.

    Raises:
        InputError: fewer than two speakers, or no speech.
    """

    def __init__(self, recordings: Mapping[str, list[np.ndarray]]):
        from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

        pieces = {name: np.concatenate([_pieces(x) for x in samples]) for name, samples in recordings.items()}
        pieces = {name: rows for name, rows in pieces.items() if len(rows)}
        if len(pieces) < 2:
            raise InputError("a speaker check needs training recordings of at least two speakers")
        self.speakers = sorted(pieces)
        features = np.concatenate([pieces[name] for name in self.speakers])
        names = np.repeat(self.speakers, [len(pieces[name]) for name in self.speakers])
        self._scale = features.mean(axis=0), features.std(axis=0) + 1e-6
        model = LinearDiscriminantAnalysis(solver="eigen", shrinkage="auto", n_components=min(len(pieces) - 1, 40))
        with warnings.catch_warnings():
            # A speaker of a single piece has no spread to learn from, only a centre.
            warnings.filterwarnings("ignore", "Only one sample available")
            self._model = model.fit((features - self._scale[0]) / self._scale[1], names)
        self._centres = np.stack([_unit(self._vectors(pieces[name]).mean(axis=0)) for name in self.speakers])

    def embed(self, samples: np.ndarray) -> np.ndarray:
        """Voice vector [E] of length 1 of samples [T] at 16 kHz."""
        return _unit(self._vectors(_pieces(samples)).mean(axis=0))

    def similarities(self, samples: np.ndarray) -> dict[str, float]:
        """Cosine in [-1, 1] between a recording's voice vector and each training speaker's."""
        return dict(zip(self.speakers, map(float, self._centres @ self.embed(samples)), strict=True))

    def _vectors(self, pieces: np.ndarray) -> np.ndarray:
        return self._model.transform((pieces - self._scale[0]) / self._scale[1])


def _pieces(samples: np.ndarray) -> np.ndarray:
    # Statistics [n, 76] of the pieces of a recording; coefficient 0 only tells speech from pauses.
    frames = add_deltas(mfcc(samples, 16000, NUM_CEPSTRA))[:, : 2 * NUM_CEPSTRA]
    loud = frames[:, 0] > frames[:, 0].max() - QUIET_DB * np.sqrt(40)
    speech = np.delete(frames[loud], [0, NUM_CEPSTRA], axis=1)
    count = max(1, len(speech) // PIECE_FRAMES)
    return np.array([np.r_[piece.mean(axis=0), piece.std(axis=0)] for piece in np.array_split(speech, count)])


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / max(np.linalg.norm(vector), 1e-12)
