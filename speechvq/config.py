"""Configuration: frozen dataclasses that YAML files fill in, and nothing else.

A configuration is a path or the name of a preset in `speechvq/presets/`. A file
that begins with `preset: NAME` holds only what differs from that preset.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field, fields
from pathlib import Path

import yaml

from speechvq.config_tree import from_dict, merged, to_dict
from speechvq.errors import ConfigError

PRESETS = Path(__file__).parent / "presets"


@dataclass(frozen=True)
class EncoderConfig:
    """The encoder: strided convolutions, then dilated ones at frame rate.

    Args:
        input: `waveform`, or `mel` or `mfcc` (80 log-mel bands or 13 cepstra with deltas, then the same dilated layers).
        strides: of the strided convolutions; their product is the hop length.
        channels: width at frame rate; the strided layers widen towards it.
        layers: dilated residual layers at frame rate, dilations 1, 2, 4, 1, 2, 4, ...
        code_dim: D, size of a codebook vector.
        normalise: seconds to either side over which the channels at the front are brought to mean 0 and deviation 1,
            which takes much of the speaker away; 0 leaves them.
        warp: of mel or mfcc, the largest share by which training stretches the frequencies that the encoder sees
            (the decoder must make the voice as it was).
    """

    input: str = "waveform"
    strides: tuple[int, ...] = (2, 2, 2, 2, 2, 2)
    channels: int = 128
    layers: int = 4
    code_dim: int = 64
    normalise: float = 0.0
    warp: float = 0.0

    @property
    def hop_length(self) -> int:
        """Samples per unit."""
        hop = 1
        for stride in self.strides:
            hop *= stride
        return hop


@dataclass(frozen=True)
class QuantizerConfig:
    """The codebook and how it learns.

    Args:
        codebook_size: K.
        commitment_weight: beta of the paper (0.25).
        update: `ema` (moving averages) or `gradient` (the paper's codebook loss).
        decay: of the moving averages.
        restart_below: a code used less than this share of the even share is restarted.
        jitter: chance that a unit takes its neighbour's value while training (Chorowski et al. 2019).
    """

    codebook_size: int = 512
    commitment_weight: float = 0.25
    update: str = "ema"
    decay: float = 0.99
    restart_below: float = 0.05
    jitter: float = 0.0


@dataclass(frozen=True)
class WaveNetConfig:
    """The sizes of a WaveNet.

    Args:
        layers: L.
        residual: R channels.
        skip: S channels.
        kernel: taps of a dilated convolution, 2 or 3.
        dilation_cycle: dilations are 1, 2, ... 2^(dilation_cycle - 1), again and again.
    """

    layers: int = 20
    residual: int = 64
    skip: int = 128
    kernel: int = 2
    dilation_cycle: int = 10

    def __post_init__(self):
        _one_of("kernel", self.kernel, (2, 3))
        _check_positive(self)
        if self.layers < 1:
            raise ConfigError("a WaveNet must have at least 1 layer")

    @property
    def dilations(self) -> tuple[int, ...]:
        """The dilation of each layer."""
        return tuple(2 ** (layer % self.dilation_cycle) for layer in range(self.layers))

    @property
    def receptive_field(self) -> int:
        """Positions that a prediction looks back on, and one."""
        return 1 + (self.kernel - 1) * sum(self.dilations)


@dataclass(frozen=True)
class DecoderConfig(WaveNetConfig):
    """The WaveNet decoder and its conditioning network.

    Args:
        condition_channels: width of the conditioning network.
        condition_layers: its non-causal dilated layers at frame rate.
        speaker_dim: E, size of a speaker vector.
    """

    condition_channels: int = 128
    condition_layers: int = 5
    speaker_dim: int = 32


@dataclass(frozen=True)
class ScheduleConfig:
    """How any training goes on, whatever is trained.

    Args:
        steps: updates in all.
        batch_size: crops per step (of a VQ-VAE: that the WaveNet learns from).
        learning_rate: after the warm-up.
        warmup_steps: of linear warm-up, at the start and again when the WaveNet joins.
        decay_from: share of the steps after which the learning rate falls, along a cosine, to a twentieth.
        clip_norm: largest gradient norm.
        weight_decay: decoupled, of both optimizers.
        average_decay: of the moving average of the weights that is evaluated and kept.
        seed: of everything drawn.
        log_every: steps between log lines.
        validate_every: steps between validations and checkpoints.
    """

    steps: int = 200_000
    batch_size: int = 8
    learning_rate: float = 1e-3
    warmup_steps: int = 200
    decay_from: float = 0.5
    clip_norm: float = 1.0
    weight_decay: float = 0.0
    average_decay: float = 0.999
    seed: int = 0
    log_every: int = 50
    validate_every: int = 1_000


@dataclass(frozen=True)
class TrainConfig(ScheduleConfig):
    """How to train a VQ-VAE.

    Args:
        quantize_from: step at which the codebook is put in, by k-means; before it the code is continuous.
        decoder_from: step at which the WaveNet joins; before it only the spectral loss teaches the encoder.
        encoder_batch_size: crops per step that the encoder and the codebook learn from, those of the WaveNet among them;
            they cost little, and decide how much the units say.
        crop_samples: length of a crop; a multiple of the hop length.
        spectral_weight: of the L1 loss that predicts the log-mel frame from the conditioning; 0 is the paper.
        speaker_balance: 0 draws crops by duration, 1 evenly over speakers.
        hold_units: leave encoder and codebook as `--init` gives them, so that the units keep their meaning; all else learns.
        input_noise: largest deviation, in mu-law classes, of the noise on the samples that the WaveNet looks back on
            while training (each crop's is drawn anew), so that it learns to live with what it will draw itself.
        loudness_weight: power of the loudness around a sample by which it counts in the WaveNet's loss; 0 counts all alike,
            and pauses as much as vowels.
        dev_crops: crops of the dev set that a validation scores.
    """

    quantize_from: int = 1_000
    decoder_from: int = 2_000
    encoder_batch_size: int = 16
    crop_samples: int = 5_120
    spectral_weight: float = 1.0
    speaker_balance: float = 1.0
    hold_units: bool = False
    input_noise: float = 0.0
    loudness_weight: float = 0.0
    dev_crops: int = 64


@dataclass(frozen=True)
class Config:
    """A VQ-VAE and its training.

    Raises:
        ConfigError: values that contradict one another.
    """

    kind: str = "vqvae"
    sample_rate: int = 16_000
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    quantizer: QuantizerConfig = field(default_factory=QuantizerConfig)
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    train: TrainConfig = field(default_factory=TrainConfig)

    def __post_init__(self):
        _one_of("kind", self.kind, ("vqvae",))
        _one_of("encoder.input", self.encoder.input, ("waveform", "mel", "mfcc"))
        _one_of("quantizer.update", self.quantizer.update, ("ema", "gradient"))
        for section in (self, self.encoder, self.quantizer, self.train):
            _check_positive(section)
        if not self.encoder.strides or min(self.encoder.strides) < 1:
            raise ConfigError(f"encoder.strides must be positive, not {list(self.encoder.strides)}")
        if self.encoder.warp and self.encoder.input == "waveform":
            raise ConfigError("encoder.warp stretches mel bands: set encoder.input to mel or mfcc, or encoder.warp to 0")
        if self.encoder.warp >= 0.5:
            raise ConfigError(f"encoder.warp is {self.encoder.warp}; speakers differ by 0.1 to 0.2, and it must be below 0.5")
        if self.train.crop_samples % self.hop_length:
            raise ConfigError(
                f"train.crop_samples {self.train.crop_samples} is no multiple of the hop length {self.hop_length}: "
                f"take {round(self.train.crop_samples / self.hop_length) * self.hop_length or self.hop_length}"
            )
        if self.train.batch_size > self.train.encoder_batch_size:
            raise ConfigError(
                f"train.batch_size {self.train.batch_size} is more than train.encoder_batch_size {self.train.encoder_batch_size}: "
                "the WaveNet learns from some of the encoder's crops, or all"
            )
        if self.train.spectral_weight == 0 and self.train.decoder_from > 0:
            raise ConfigError("train.decoder_from must be 0 where train.spectral_weight is 0: nothing else would teach the encoder")

    @property
    def hop_length(self) -> int:
        """Samples per unit."""
        return self.encoder.hop_length


@dataclass(frozen=True)
class PriorTrainConfig(ScheduleConfig):
    """How to train a prior.

    Args:
        crop_units: length of a crop.
    """

    steps: int = 4_000
    batch_size: int = 16
    learning_rate: float = 3e-3
    warmup_steps: int = 100
    decay_from: float = 0.3
    weight_decay: float = 0.1
    average_decay: float = 0.99
    validate_every: int = 250
    crop_units: int = 256


@dataclass(frozen=True)
class PriorConfig(WaveNetConfig):
    """An autoregressive prior over units, and its training.

    Args:
        kind: `prior`.
        codebook_size: K of the units; `speechvq train` takes it, and the next three, from the units it is given.
        hop_length: samples per unit.
        sample_rate: in Hz.
        model_hash: of the model that made the units.
        dropout: share of what is hidden while training: of the units read, whole, and of the last two layers' inputs.
        train: how to train.

    Raises:
        ConfigError: a value that cannot be.
    """

    kind: str = "prior"
    codebook_size: int = 512
    hop_length: int = 64
    sample_rate: int = 16_000
    model_hash: str = ""
    layers: int = 14
    residual: int = 128
    skip: int = 256
    dilation_cycle: int = 7
    dropout: float = 0.2
    train: PriorTrainConfig = field(default_factory=PriorTrainConfig)

    def __post_init__(self):
        super().__post_init__()
        _one_of("kind", self.kind, ("prior",))
        _check_positive(self.train)
        if self.dropout >= 1:
            raise ConfigError(f"dropout is {self.dropout}; it must be below 1, or nothing would be read")


_MAY_BE_ZERO = {"layers", "condition_layers", "quantize_from", "decoder_from", "warmup_steps", "spectral_weight", "speaker_balance", "hold_units", "input_noise", "loudness_weight"}
_MAY_BE_ZERO |= {"seed", "jitter", "restart_below", "weight_decay", "commitment_weight", "decay_from", "average_decay", "normalise", "warp", "dropout"}


def _check_positive(section: object) -> None:
    for item in fields(section):
        value = getattr(section, item.name)
        if isinstance(value, (int, float)) and not (0 < value < math.inf or value == 0 and item.name in _MAY_BE_ZERO):
            raise ConfigError(f"{item.name} must be {'at least 0' if item.name in _MAY_BE_ZERO else 'positive'}, not {value}")


def _one_of(name: str, value: object, allowed: tuple) -> None:
    if value not in allowed:
        raise ConfigError(f"{name} is {value!r}; it must be one of {', '.join(map(str, allowed))}")


def load_config(source: str | os.PathLike) -> Config | PriorConfig:
    """Read a configuration.

    Args:
        source: path of a YAML file, or the name of a preset.

    Returns:
        that of a VQ-VAE, or, where its `kind` is prior, of a prior.

    Raises:
        ConfigError: there is no such file or preset, a key is unknown, or a value is wrong.
    """
    tree = _resolve(source)
    return from_dict(PriorConfig if tree.get("kind") == "prior" else Config, tree, str(source))


def save_config(config: Config | PriorConfig, path: str | os.PathLike) -> None:
    """Write a resolved configuration as YAML."""
    Path(path).write_text(yaml.safe_dump(to_dict(config), sort_keys=False))


def preset_names() -> list[str]:
    """Names of the presets that ship."""
    return sorted(path.stem for path in PRESETS.glob("*.yaml"))


def _resolve(source: str | os.PathLike) -> dict:
    path = Path(source)
    if not path.suffix and not path.exists():
        path = PRESETS / f"{source}.yaml"
    try:
        tree = yaml.safe_load(path.read_text()) or {}
    except (FileNotFoundError, IsADirectoryError):
        raise ConfigError(f"no configuration file or preset '{source}'; presets: {', '.join(preset_names())}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{source} is not YAML: {error}") from None
    if not isinstance(tree, dict):
        raise ConfigError(f"{source} must hold `key: value` lines")
    base = tree.pop("preset", None)
    return merged(_resolve(base), tree) if base else tree
