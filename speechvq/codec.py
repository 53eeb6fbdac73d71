"""A trained model at work on audio: encode, decode, convert, whole or in blocks.

Long recordings pass through in blocks that overlap by the networks' look-ahead, so
blocks give the same units and conditioning as the whole would, in constant memory.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from speechvq.audio import LevelMeter, apply_gain, gain_db, mu_law_decode, pad_to_hop, read_blocks, resample
from speechvq.batch import torch_threads
from speechvq.checkpoint import load_model, units_hash
from speechvq.engine import DecoderWeights, Engine, make_engine
from speechvq.errors import UnitsError
from speechvq.model import Voice
from speechvq.nn.features import mel_centres
from speechvq.postfilter import PostFilter
from speechvq.units import Units

BLOCK_SECONDS = 8.0
PIECE_SECONDS = 0.5

# A known voice by its name, or any voice.
Speaker = str | Voice


@dataclass(frozen=True)
class Sampling:
    """How samples are drawn.

    Args:
        seed: the same seed gives the same audio on one backend and precision.
        temperature: below 1 keeps closer to the likely; 0 takes the likeliest.
        top_p: draw only from the likeliest classes that together hold this share. With all of them, the
            improbable ones that a small decoder still allows add up to hoarseness; egs/arctic/RESULTS.md has the figures.
    """

    seed: int = 0
    temperature: float = 1.0
    top_p: float = 0.9


class Codec:
    """A model directory opened for use.

    Args:
        path: the model directory.
        backend: of the decoder: auto, reference, cpu or cuda.
        precision: of its weights: auto, float32, float16, int8 or tensor16.
        threads: for decoding one stream; None for as many as help.

    Raises:
        ModelError: the directory cannot be used.
        BackendUnavailable: the named backend cannot run here.
    """

    def __init__(self, path: str | os.PathLike, backend: str = "auto", precision: str = "auto", threads: int | None = None):
        self.path = Path(path)
        self.model = load_model(path)
        self.hash = units_hash(self.model)
        self._engine_options = (backend, precision, threads)
        self._engine: Engine | None = None

    @property
    def engine(self) -> Engine:
        """The decoder, made when first needed."""
        if self._engine is None:
            weights = DecoderWeights.from_arrays(self.model.decoder_weights())
            self._engine = make_engine(weights, *self._engine_options)
        return self._engine

    def prepare_engine(self) -> None:
        """Build and compile the decoder now, before threads ask for it or time is measured."""
        state = self.engine.start(1, [0])
        silence = np.zeros((1, *self.model.decoder.conditioner.shape, 1), np.float32)
        self.engine.push(state, silence)
        self.engine.generate(state, 1)

    @property
    def speakers(self) -> list[str]:
        """Voices that the model knows."""
        return self.model.speakers

    @property
    def sample_rate(self) -> int:
        """Of all audio that comes out, in Hz."""
        return self.model.config.sample_rate

    @property
    def hop_length(self) -> int:
        """Samples per unit."""
        return self.model.hop_length

    @property
    def codebook_size(self) -> int:
        """K."""
        return self.model.config.quantizer.codebook_size

    @property
    def kind_of_units(self) -> tuple[int, int, int, str]:
        """What tells this model's units from others': K, samples per unit, sample rate in Hz, hash of what makes them."""
        return self.codebook_size, self.hop_length, self.sample_rate, self.hash

    def encode(self, samples: np.ndarray, sample_rate: int) -> Units:
        """Units of a recording.

        Args:
            samples: [T] in [-1, 1], any loudness.
            sample_rate: of the samples, in Hz.
        """
        return self.encode_levelled(resample(samples, sample_rate, self.sample_rate))[0]

    def encode_levelled(self, samples: np.ndarray) -> tuple[Units, float]:
        """Units of a recording at the model's rate, and the gain in dB that levelled it."""
        gain = gain_db(samples, self.sample_rate)
        ids = list(self.encode_blocks([apply_gain(samples, gain)]))
        return self.units(np.concatenate([np.zeros(0, np.int64), *ids])), gain

    def decode(self, units: Units, speaker: Speaker, sampling: Sampling = Sampling()) -> np.ndarray:
        """Speak units, at the reference loudness.

        Args:
            units: of this model.
            speaker: name of a voice, or the voice.
            sampling: how to draw.

        Returns:
            float32 [N * hop_length] at the model's rate.

        Raises:
            UnitsError: units of another codebook or hop.
            InputError: no such speaker.
        """
        self.require(units.codebook_size, units.hop_length, units.sample_rate)
        blocks = list(self.decode_blocks([units.ids], speaker, sampling))
        return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)

    def convert(self, samples: np.ndarray, sample_rate: int, speaker: Speaker, sampling: Sampling = Sampling()) -> np.ndarray:
        """The same words in another voice, as loud as they came.

        Args:
            samples: [T] in [-1, 1].
            sample_rate: of the samples, in Hz.
            speaker: name of the target voice, or the voice.
            sampling: how to draw.

        Returns:
            float32 [T] at the model's rate.
        """
        samples = resample(samples, sample_rate, self.sample_rate)
        units, gain = self.encode_levelled(samples)
        return apply_gain(self.decode(units, speaker, sampling)[: len(samples)], -gain)

    def convert_file(self, path: str | os.PathLike, speaker: Speaker, sampling: Sampling = Sampling()) -> Iterator[np.ndarray]:
        """Convert a file of any length in constant memory.

        Args:
            path: the recording.
            speaker: name of the target voice, or the voice.
            sampling: how to draw.

        Yields:
            float32 blocks at the model's rate; end to end as long as the recording.
        """
        gain, num_samples = self.loudness(path)
        ids = self.encode_blocks(apply_gain(block, gain) for block in read_blocks(path, self.sample_rate))
        left = num_samples
        for block in self.decode_blocks(ids, speaker, sampling):
            yield apply_gain(block[:left], -gain)
            left -= min(left, len(block))

    def loudness(self, path: str | os.PathLike) -> tuple[float, int]:
        """Gain in dB that levels a file, and its length in samples at the model's rate."""
        meter, num_samples = LevelMeter(self.sample_rate), 0
        for block in read_blocks(path, self.sample_rate):
            meter.add(block)
            num_samples += len(block)
        return meter.gain_db(), num_samples

    def encode_blocks(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Units of levelled audio that arrives in blocks.

        Args:
            blocks: [T] each, at the model's rate.

        Yields:
            ids [n], whose total is the audio's length divided by the hop, rounded up.
        """
        hop, look = self.hop_length, self.model.encoder.look_ahead
        for window, skip, keep in _windows(blocks, self._block_frames, look, hop):
            wav = torch.from_numpy(pad_to_hop(window, hop))[None, None]
            yield self.model.encode(wav)[0, skip : skip + keep].numpy()

    def decode_blocks(self, blocks: Iterable[np.ndarray], speaker: Speaker, sampling: Sampling = Sampling()) -> Iterator[np.ndarray]:
        """Speak units that arrive in blocks.

        Args:
            blocks: ids [n] each.
            speaker: name of a voice, or the voice.
            sampling: how to draw.

        Yields:
            float32 pieces of half a second at most, at the reference loudness, as soon as they are drawn.
        """
        voice = self.model.voice(speaker) if isinstance(speaker, str) else speaker
        vector = torch.as_tensor(voice.vector)[None]
        postfilter = self._postfilter(voice)
        piece = max(1, round(PIECE_SECONDS * self.sample_rate / self.hop_length)) * self.hop_length
        state = self.engine.start(1, [sampling.seed], sampling.temperature, sampling.top_p)
        for window, skip, keep in _windows(blocks, self._block_frames, self.model.decoder.conditioner.look_ahead, 1):
            # Of torch's threads all but one would go on spinning for milliseconds, on the core of the engine's second thread.
            with torch_threads(1):
                conditioning, log_mel = self.model.condition_and_guess(torch.from_numpy(window.astype(np.int64))[None], vector)
            self.engine.push(state, conditioning[..., skip : skip + keep].numpy())
            if postfilter:
                postfilter.expect(log_mel[0, skip : skip + keep].flatten(0, 1).T.numpy())
            num_samples = keep * self.hop_length
            for at in range(0, num_samples, piece):
                drawn = mu_law_decode(self.engine.generate(state, min(piece, num_samples - at))[0])
                yield postfilter.filter(drawn) if postfilter else drawn
        if postfilter:
            yield postfilter.rest()

    def _postfilter(self, voice: Voice) -> PostFilter | None:
        if not self.model.config.train.spectral_weight:
            return None  # a model that never learnt to guess

        def measure(samples: np.ndarray) -> np.ndarray:
            with torch_threads(1):  # as above, between two pieces
                return self.model.log_mel(torch.from_numpy(samples)[None])[0].numpy()

        centres = mel_centres(self.sample_rate, len(voice.spectrum))
        return PostFilter(voice.spectrum, centres, self.sample_rate, self.hop_length // self.model.mel_frames, measure)

    def units(self, ids: np.ndarray) -> Units:
        """Ids of this model as Units."""
        return Units(ids, self.codebook_size, self.hop_length, self.sample_rate)

    def require(self, codebook_size: int, hop_length: int, sample_rate: int, model_hash: str = "") -> None:
        """Refuse units that this model cannot speak.

        Args:
            codebook_size: K of the units.
            hop_length: samples per unit.
            sample_rate: in Hz.
            model_hash: of the encoder and codebook that made them; empty where nobody knows.

        Raises:
            UnitsError: another codebook, hop or rate, or another encoder.
        """
        given, own = (codebook_size, hop_length, sample_rate), (self.codebook_size, self.hop_length, self.sample_rate)
        if given != own:
            raise UnitsError(
                "these units have codebook {}, hop {}, rate {} Hz; ".format(*given)
                + "the model speaks codebook {}, hop {}, rate {} Hz: encode with the same model".format(*own)
            )
        if model_hash and model_hash != self.hash:
            raise UnitsError(f"these units were made by model {model_hash}, and mean other sounds to this one, {self.hash}: encode with the same model")

    @property
    def _block_frames(self) -> int:
        return max(1, round(BLOCK_SECONDS * self.sample_rate / self.hop_length))


def _windows(blocks: Iterable[np.ndarray], size: int, look: int, step: int) -> Iterator[tuple[np.ndarray, int, int]]:
    """Cut a stream into windows of `size` frames with up to `look` frames of context on either side.

    Yields:
        the window [<= (size + 2 look) * step], how many of its frames are context at its start, how many to keep.
    """
    buffer: np.ndarray | None = None
    skip = 0
    for block in blocks:
        buffer = block if buffer is None else np.concatenate([buffer, block])
        while len(buffer) >= (skip + size + look) * step:
            yield buffer[: (skip + size + look) * step], skip, size
            done = skip + size
            drop = max(0, done - look)
            buffer, skip = buffer[drop * step :], done - drop
    if buffer is not None and (left := -(-len(buffer) // step) - skip) > 0:
        yield buffer, skip, left
