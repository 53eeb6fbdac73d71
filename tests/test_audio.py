"""Audio files in every format, mu-law against a formula by hand, loudness."""

import io
import math
import tracemalloc

import numpy as np
import pytest
import soundfile

from speechvq import audio
from speechvq.errors import AudioError

CODINGS = [
    ("wav", "PCM_U8"), ("wav", "PCM_16"), ("wav", "PCM_24"), ("wav", "PCM_32"), ("wav", "FLOAT"), ("wav", "DOUBLE"),
    ("wav", "ULAW"), ("flac", "PCM_16"), ("flac", "PCM_24"), ("ogg", "VORBIS"), ("mp3", "MPEG_LAYER_III"),
    ("aiff", "PCM_16"), ("aiff", "PCM_24"), ("sph", "PCM_16"), ("au", "PCM_16"),
]  # fmt: skip
CONTAINERS = {"sph": "NIST"}


def tone(rate, seconds=0.5, hertz=440.0, amplitude=0.5):
    return amplitude * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)


def save(path, samples, rate, coding="PCM_16"):
    soundfile.write(path, samples, rate, subtype=coding, format=CONTAINERS.get(path.suffix[1:]))
    return path


@pytest.mark.parametrize("suffix, coding", CODINGS)
def test_reads_every_coding(tmp_path, suffix, coding):
    path = save(tmp_path / f"a.{suffix}", tone(16000), 16000, coding)
    read = audio.read(path)
    assert read.dtype == np.float32
    error = np.abs(read[500:7500] - tone(16000)[500:7500]).max()
    assert error < (0.05 if coding in ("VORBIS", "MPEG_LAYER_III", "ULAW", "PCM_U8") else 1e-4)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000, 96000])
def test_resamples_to_the_same_tone(tmp_path, rate):
    read = audio.read(save(tmp_path / "a.wav", tone(rate, 1), rate, "FLOAT"), 16000)
    assert len(read) == 16000
    assert np.abs(read[400:-400] - tone(16000, 1)[400:-400]).max() < 1e-3


def test_resampling_does_not_alias(tmp_path):
    read = audio.read(save(tmp_path / "a.wav", tone(48000, hertz=10000), 48000, "FLOAT"), 16000)
    assert np.abs(read[400:-400]).max() < 1e-4


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_mixes_channels_down_to_their_mean(tmp_path, channels):
    samples = np.stack([tone(16000) * (k + 1) / channels for k in range(channels)], axis=1)
    path = save(tmp_path / "a.wav", samples, 16000, "FLOAT")
    np.testing.assert_allclose(audio.read(path), samples.mean(axis=1), atol=1e-6)
    assert audio.info(path) == audio.AudioInfo(16000, 8000, channels)
    assert audio.info(path).duration == 0.5


def test_reads_a_piece(tmp_path):
    path = save(tmp_path / "a.wav", tone(16000), 16000, "FLOAT")
    np.testing.assert_allclose(audio.read(path, start=0.1, end=0.3), tone(16000)[1600:4800], atol=1e-6)
    assert len(audio.read(path, start=0.4, end=9.0)) == 1600
    for start, end in ((0.5, None), (0.3, 0.3), (-0.1, 0.2)):
        with pytest.raises(AudioError, match=r"lasts 0\.500 s"):
            audio.read(path, start=start, end=end)


def test_reads_a_binary_file(tmp_path):
    path = save(tmp_path / "a.wav", tone(16000), 16000)
    np.testing.assert_array_equal(audio.read(io.BytesIO(path.read_bytes())), audio.read(path))


def whole_and_cut(tmp_path, suffix):
    path = save(tmp_path / f"whole.{suffix}", tone(16000, 2), 16000, None)
    cut = tmp_path / f"cut.{suffix}"
    cut.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    return cut


@pytest.mark.parametrize("suffix", ["wav", "flac", "aiff", "sph", "au", "mp3", "ogg"])
def test_refuses_truncated_files(tmp_path, suffix):
    with pytest.raises(AudioError, match=f"cut.{suffix}: .*(truncated|malformed)"):
        audio.read(whole_and_cut(tmp_path, suffix))


def test_takes_the_unknown_lengths_of_streams(tmp_path):
    data = bytearray(save(tmp_path / "a.wav", tone(16000), 16000).read_bytes())
    at = data.index(b"data") + 4
    data[at : at + 4] = b"\xff\xff\xff\xff"
    (tmp_path / "stream.wav").write_bytes(data)
    assert len(audio.read(tmp_path / "stream.wav")) == 8000


def bad_files(tmp_path):
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "text.wav").write_text("this is no audio\n" * 100)
    save(tmp_path / "nothing.wav", np.zeros(0), 16000)
    samples = tone(16000)
    samples[100] = np.nan
    save(tmp_path / "nan.wav", samples, 16000, "FLOAT")
    samples[100] = np.inf
    save(tmp_path / "infinite.wav", samples, 16000, "FLOAT")
    return {
        "empty.wav": "not an audio file", "text.wav": "not an audio file", "nothing.wav": "no samples",
        "nan.wav": "not numbers", "infinite.wav": "not numbers", "missing.wav": "no such", ".": "no such",
    }  # fmt: skip


def test_says_what_is_wrong_in_one_line(tmp_path):
    for name, reason in bad_files(tmp_path).items():
        with pytest.raises(AudioError) as caught:
            audio.read(tmp_path / name)
        message = str(caught.value)
        assert message.startswith(str(tmp_path / name)) and reason in message and "\n" not in message


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100])
@pytest.mark.parametrize("block", [1, 777, 1 << 20])
def test_blocks_end_to_end_equal_the_whole(tmp_path, monkeypatch, rate, block):
    monkeypatch.setattr(audio, "_READ_FRAMES", 1000)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, rate // 4)
    path = save(tmp_path / "a.wav", noise, rate, "FLOAT")
    blocks = list(audio.read_blocks(path, 16000, block))
    assert all(len(b) == block for b in blocks[:-1]) and 0 < len(blocks[-1]) <= block
    np.testing.assert_allclose(np.concatenate(blocks), audio.resample(noise, rate, 16000), atol=1e-6)


def test_blocks_of_a_long_file_need_little_memory(tmp_path):
    path = save(tmp_path / "long.wav", np.tile(tone(48000, 1), (240)), 48000)
    tracemalloc.start()
    total = sum(len(block) for block in audio.read_blocks(path, 16000, 16000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == 240 * 16000
    assert peak < 8e6  # as float32 the file at its own rate would be 46 MB


@pytest.mark.parametrize("suffix", ["wav", "flac", "aiff", "sph"])
def test_sixteen_bits_survive_the_trip(tmp_path, suffix):
    values = np.arange(-32768, 32768) / 32768
    audio.write(tmp_path / f"a.{suffix}", values, 16000)
    np.testing.assert_array_equal(audio.read(tmp_path / f"a.{suffix}"), values.astype(np.float32))


@pytest.mark.parametrize("suffix", ["ogg", "mp3"])
def test_writes_lossy_formats(tmp_path, suffix):
    audio.write(tmp_path / "new" / f"a.{suffix}", tone(16000), 16000)
    assert np.corrcoef(audio.read(tmp_path / "new" / f"a.{suffix}")[:8000], tone(16000))[0, 1] > 0.99


def test_writing_clips(tmp_path):
    audio.write(tmp_path / "a.wav", np.array([2.0, -2.0]), 16000)
    np.testing.assert_allclose(audio.read(tmp_path / "a.wav"), [32767 / 32768, -1.0])


def test_writing_blocks_equals_writing_the_whole(tmp_path):
    samples = tone(16000)
    audio.write(tmp_path / "a.wav", samples, 16000)
    assert audio.write_blocks(tmp_path / "b.wav", np.split(samples, 10), 16000) == len(samples)
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()


@pytest.mark.parametrize(
    "name, samples, rate, reason",
    [
        ("a.doc", np.zeros(5), 16000, "cannot write '.doc'"),
        ("a.wav", np.zeros((5, 2)), 16000, "one row"),
        ("a.wav", np.zeros(0), 16000, "no samples"),
        ("a.wav", np.array([0.0, np.nan]), 16000, "not numbers"),
        ("a.mp3", np.zeros(5), 12345, "12345 Hz"),
    ],
)
def test_a_refused_write_leaves_the_old_file(tmp_path, name, samples, rate, reason):
    (tmp_path / name).write_text("old")
    with pytest.raises(AudioError, match=reason):
        audio.write(tmp_path / name, samples, rate)
    assert (tmp_path / name).read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def mu_law_position(sample):
    """Where a sample lies on the scale of classes, by hand in float64; its class is the whole part."""
    return (math.copysign(math.log1p(255 * abs(sample)) / math.log(256), sample) + 1) / 2 * 255 + 0.5


def test_mu_law_of_every_sixteen_bit_sample():
    samples = np.arange(-32768, 32768) / 32768
    positions = np.array([mu_law_position(x) for x in samples])
    clear = np.abs(positions - np.rint(positions)) > 1e-4
    assert (~clear).sum() < 50
    np.testing.assert_array_equal(audio.mu_law_encode(samples)[clear], positions[clear].astype(int))


def test_mu_law_is_that_of_torch_on_every_sample():
    torch = pytest.importorskip("torch")
    samples = torch.arange(-32768, 32768) / 32768
    mu = torch.tensor(255.0)
    magnitude = torch.log1p(mu * samples.abs()) / torch.log1p(mu)
    classes = ((samples.sign() * magnitude + 1) / 2 * mu + 0.5).to(torch.int64)
    np.testing.assert_array_equal(audio.mu_law_encode(samples.numpy()), classes.numpy())


def test_mu_law_decodes_every_class():
    classes = np.arange(256)
    by_hand = [math.copysign((256 ** abs(2 * k / 255 - 1) - 1) / 255, k - 127.5) for k in range(256)]
    decoded = audio.mu_law_decode(classes)
    assert decoded.dtype == np.float32
    np.testing.assert_allclose(decoded, by_hand, atol=1e-6)
    np.testing.assert_array_equal(audio.mu_law_encode(decoded), classes)


def test_mu_law_clips_and_silence_is_class_128():
    np.testing.assert_array_equal(audio.mu_law_encode([0.0, 1.0, -1.0, 7.0, -7.0]), [128, 255, 0, 255, 0])


def test_mu_law_is_that_of_torchaudio():
    try:
        import torch
        import torchaudio.functional as functional
    except (ImportError, OSError, RuntimeError) as error:
        pytest.skip(f"torchaudio cannot be imported: {error}")
    samples = np.arange(-32768, 32768, dtype=np.float32) / 32768
    theirs = functional.mu_law_encoding(torch.from_numpy(samples), 256).numpy()
    np.testing.assert_array_equal(audio.mu_law_encode(samples), theirs)
    decoded = functional.mu_law_decoding(torch.arange(256), 256).numpy()
    np.testing.assert_allclose(audio.mu_law_decode(np.arange(256)), decoded, atol=1e-6)


def speech(seconds=4, level_db=-30.0):
    """Noise that comes and goes as syllables do, at a known level while it is there."""
    rng = np.random.default_rng(0)
    samples = rng.standard_normal(16000 * seconds) * 10 ** (level_db / 20)
    return samples * (np.arange(len(samples)) // 3200 % 2 == 0)


@pytest.mark.parametrize("level", [-60.0, -30.0, -6.0])
def test_gain_brings_speech_to_the_reference(level):
    assert audio.gain_db(speech(level_db=level)) == pytest.approx(audio.REFERENCE_DB - level, abs=0.2)


@pytest.mark.parametrize("pause", [0.0, 1e-5, 1e-3])
def test_pauses_do_not_change_the_gain(pause):
    silence = pause * np.random.default_rng(1).standard_normal(16000 * 20)
    long = np.concatenate([silence, speech(), silence])
    assert audio.gain_db(long) == pytest.approx(audio.gain_db(speech()), abs=0.3)


def test_silence_is_left_alone():
    faint = 1e-4 * np.random.default_rng(0).standard_normal(16000)
    for samples in (np.zeros(16000), np.zeros(0), faint):
        assert audio.gain_db(samples) == 0.0


def test_a_short_sound_has_a_level():
    assert audio.gain_db(np.full(100, 0.1)) == pytest.approx(-3.0, abs=0.01)


def test_gain_undone_gives_the_samples_back():
    samples = speech().astype(np.float32)
    gain = audio.gain_db(samples)
    np.testing.assert_allclose(audio.apply_gain(audio.apply_gain(samples, gain), -gain), samples, atol=1e-6)


def test_level_of_blocks_equals_level_of_the_whole():
    samples = speech()
    meter = audio.LevelMeter()
    for block in np.array_split(samples, 37):
        meter.add(block)
    assert meter.gain_db() == pytest.approx(audio.gain_db(samples), abs=1e-6)


@pytest.mark.parametrize("length, padded", [(0, 0), (1, 64), (64, 64), (65, 128)])
def test_pads_to_the_hop(length, padded):
    result = audio.pad_to_hop(np.ones(length, np.float32), 64)
    assert len(result) == padded and result.sum() == length and result.dtype == np.float32


def test_what_resampling_leaves_nothing_of_is_refused(tmp_path):
    soundfile.write(tmp_path / "click.wav", np.zeros(1), 96000)
    with pytest.raises(AudioError, match="click.wav: too short"):
        audio.read(tmp_path / "click.wav", 16000)
