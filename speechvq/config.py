"""Configuration: frozen dataclasses that YAML files fill in, and nothing else.

A configuration is a path or the name of a preset in `speechvq/presets/`. A file
that begins with `preset: NAME` holds only what differs from that preset.
"""

from __future__ import annotations

import os
import types
import typing
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path

import yaml

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
class DecoderConfig:
    """The WaveNet decoder and its conditioning network.

    Args:
        layers: L.
        residual: R channels.
        skip: S channels.
        kernel: taps of a dilated convolution, 2 or 3.
        dilation_cycle: dilations are 1, 2, ... 2^(dilation_cycle - 1), again and again.
        condition_channels: width of the conditioning network.
        condition_layers: its non-causal dilated layers at frame rate.
        speaker_dim: E, size of a speaker vector.
    """

    layers: int = 20
    residual: int = 64
    skip: int = 128
    kernel: int = 2
    dilation_cycle: int = 10
    condition_channels: int = 128
    condition_layers: int = 5
    speaker_dim: int = 32

    @property
    def dilations(self) -> tuple[int, ...]:
        """The dilation of each layer."""
        return tuple(2 ** (layer % self.dilation_cycle) for layer in range(self.layers))


@dataclass(frozen=True)
class TrainConfig:
    """How to train.

    Args:
        steps: updates in all.
        quantize_from: step at which the codebook is put in, by k-means; before it the code is continuous.
        decoder_from: step at which the WaveNet joins; before it only the spectral loss teaches the encoder.
        batch_size: crops per step that the WaveNet learns from.
        encoder_batch_size: crops per step that the encoder and the codebook learn from, those of the WaveNet among them;
            they cost little, and decide how much the units say.
        crop_samples: length of a crop; a multiple of the hop length.
        learning_rate: after the warm-up.
        warmup_steps: of linear warm-up, at the start and again when the WaveNet joins.
        decay_from: share of the steps after which the learning rate falls, along a cosine, to a twentieth.
        clip_norm: largest gradient norm.
        weight_decay: decoupled, of both optimizers.
        average_decay: of the moving average of the weights that is evaluated and kept.
        spectral_weight: of the L1 loss that predicts the log-mel frame from the conditioning; 0 is the paper.
        speaker_balance: 0 draws crops by duration, 1 evenly over speakers.
        seed: of everything drawn.
        log_every: steps between log lines.
        validate_every: steps between validations and checkpoints.
        dev_crops: crops of the dev set that a validation scores.
    """

    steps: int = 200_000
    quantize_from: int = 1_000
    decoder_from: int = 2_000
    batch_size: int = 8
    encoder_batch_size: int = 16
    crop_samples: int = 5_120
    learning_rate: float = 1e-3
    warmup_steps: int = 200
    decay_from: float = 0.5
    clip_norm: float = 1.0
    weight_decay: float = 0.0
    average_decay: float = 0.999
    spectral_weight: float = 1.0
    speaker_balance: float = 1.0
    seed: int = 0
    log_every: int = 50
    validate_every: int = 1_000
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
        _one_of("decoder.kernel", self.decoder.kernel, (2, 3))
        for section in (self.encoder, self.quantizer, self.decoder, self.train):
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


_MAY_BE_ZERO = {"layers", "condition_layers", "quantize_from", "decoder_from", "warmup_steps", "spectral_weight", "speaker_balance"}
_MAY_BE_ZERO |= {"seed", "jitter", "restart_below", "weight_decay", "commitment_weight", "decay_from", "average_decay", "normalise", "warp"}


def _check_positive(section: object) -> None:
    for item in fields(section):
        value = getattr(section, item.name)
        if isinstance(value, (int, float)) and (value < 0 or value == 0 and item.name not in _MAY_BE_ZERO):
            raise ConfigError(f"{item.name} must be {'at least 0' if item.name in _MAY_BE_ZERO else 'positive'}, not {value}")


def _one_of(name: str, value: object, allowed: tuple) -> None:
    if value not in allowed:
        raise ConfigError(f"{name} is {value!r}; it must be one of {', '.join(map(str, allowed))}")


def load_config(source: str | os.PathLike) -> Config:
    """Read a configuration.

    Args:
        source: path of a YAML file, or the name of a preset.

    Raises:
        ConfigError: there is no such file or preset, a key is unknown, or a value is wrong.
    """
    return from_dict(Config, _resolve(source), str(source))


def save_config(config: Config, path: str | os.PathLike) -> None:
    """Write a resolved configuration as YAML."""
    Path(path).write_text(yaml.safe_dump(to_dict(config), sort_keys=False))


def to_dict(config: object) -> dict:
    """A configuration as plain dictionaries and lists."""
    return _plain(asdict(config))


def preset_names() -> list[str]:
    """Names of the presets that ship."""
    return sorted(path.stem for path in PRESETS.glob("*.yaml"))


def override(config: Config, assignments: list[str]) -> Config:
    """Change single values.

    Args:
        config: where to start.
        assignments: `section.key=value` each, the value in YAML.

    Raises:
        ConfigError: an assignment without `=`, an unknown key, a wrong type.
    """
    tree = to_dict(config)
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise ConfigError(f"'{assignment}' is no assignment: write section.key=value")
        branch: dict = {}
        inner = branch
        *sections, key = name.strip().split(".")
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[key] = yaml.safe_load(text)
        tree = _merge(tree, branch)
    return from_dict(type(config), tree, "the command line")


def from_dict(kind: type, tree: object, where: str, prefix: str = ""):
    """Build a dataclass from a mapping, checking every key and type.

    Args:
        kind: the dataclass.
        tree: the mapping.
        where: what to call its origin in an error.
        prefix: of the names of its keys in an error.

    Raises:
        ConfigError: an unknown key or a wrong type, named.
    """
    if not isinstance(tree, dict):
        raise ConfigError(f"{where}: {prefix.rstrip('.') or 'a configuration'} must hold `key: value` lines, not {tree!r}")
    hints = typing.get_type_hints(kind)
    unknown = [key for key in tree if key not in hints]
    if unknown:
        raise ConfigError(f"{where}: unknown key '{prefix}{unknown[0]}'; known: {', '.join(hints)}")
    return kind(**{key: _convert(hints[key], value, where, f"{prefix}{key}") for key, value in tree.items()})


def _convert(hint: object, value: object, where: str, name: str):
    if is_dataclass(hint):
        return from_dict(hint, value, where, f"{name}.")
    if isinstance(hint, types.GenericAlias):
        inner = typing.get_args(hint)[0]
        if not isinstance(value, (list, tuple)):
            raise ConfigError(f"{where}: {name} must be a list of {inner.__name__}, not {value!r}")
        return tuple(_convert(inner, item, where, name) for item in value)
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if hint is float and isinstance(value, str):
        # YAML 1.1 reads 1e-3, without a dot, as a string.
        try:
            return float(value)
        except ValueError:
            pass
    if type(value) is not hint:
        raise ConfigError(f"{where}: {name} must be of type {hint.__name__}, not {value!r}")
    return value


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
    return _merge(_resolve(base), tree) if base else tree


def _merge(base: dict, changes: dict) -> dict:
    merged = dict(base)
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            merged[key] = _merge(base[key], value)
        else:
            merged[key] = value
    return merged


def _plain(value):
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
