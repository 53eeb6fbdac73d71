from __future__ import annotations

import numpy as np
import pytest
import torch

from speechvq import audio, cli
from speechvq.checkpoint import load_model, save_model
from speechvq.codec import Codec, Sampling
from speechvq.config import Config, DecoderConfig, EncoderConfig, QuantizerConfig
from speechvq.config_tree import override
from speechvq.enroll import Stage, enroll, fit_voice, voice_loss
from speechvq.errors import AudioError, InputError, ModelError
from speechvq.model import SPECTRAL_BANDS, VQVAE, Voice

FEW = (Stage(40, 4, 0.05, False, 1.0), Stage(2, 1, 0.01, True, 5.0))


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory):
    """A small model that learned three voices by their spectrum, and then forgot the middle one."""
    torch.manual_seed(0)
    decoder = DecoderConfig(layers=4, residual=8, skip=8, dilation_cycle=4, condition_channels=16, condition_layers=1, speaker_dim=4)
    config = Config(encoder=EncoderConfig(channels=16, layers=1, code_dim=8), quantizer=QuantizerConfig(codebook_size=16), decoder=decoder)
    model = VQVAE(config, ["dark", "bright", "middle"])
    voices = torch.from_numpy(np.stack([voice(cut)[:32000] for cut in (500, 6000, 2000)]))
    optimizer = torch.optim.Adam([*model.decoder.conditioner.parameters(), *model.spectral.parameters(), *model.speaker.parameters()], lr=0.01)
    with torch.no_grad():
        quantized = model.quantizer.decode(model.encode(voices[:, None]))
    for _ in range(120):
        loss = model.spectral_loss(model.decoder.conditioner(quantized, model.speaker.weight), voices)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    path = tmp_path_factory.mktemp("model") / "tiny"
    state = model.state_dict()
    for table in ("speaker.weight", "spectrum"):
        state[table] = state[table][:2]
    save_model(path, VQVAE(config, ["dark", "bright"]), state)
    (path / "card.md").write_text("# tiny\n")
    return path


def voice(cut: float, seconds: float = 4.0) -> np.ndarray:
    """Noise below a frequency, at the reference loudness."""
    noise = np.random.default_rng(0).standard_normal(round(16000 * seconds))
    spectrum = np.fft.rfft(noise)
    spectrum[np.fft.rfftfreq(len(noise), 1 / 16000) > cut] = 0
    samples = np.fft.irfft(spectrum).astype(np.float32)
    return (0.07 * samples / samples.std()).astype(np.float32)


def changes(model, before):
    return [name for name, value in model.state_dict().items() if not torch.equal(value.nan_to_num(), before[name].nan_to_num())]


def test_a_fitted_voice_explains_speech_better_than_any_known_one(model_dir):
    model, middle = load_model(model_dir), voice(2000)
    shares: list[float] = []
    found = fit_voice(model, [middle], shares.append, FEW)
    known = min(voice_loss(model, row, middle) for row in model.speaker.weight.detach().numpy())
    assert voice_loss(model, found.vector, middle) < 0.7 * known
    assert found.vector.shape == (4,) and found.vector.dtype == np.float32
    # Noise below 2 kHz, of 8: little is left in the upper bands.
    assert found.spectrum[:10].min() > found.spectrum[-10:].max() + 1
    assert shares == sorted(shares) and shares[-1] == pytest.approx(1.0)


def test_fitting_changes_nothing_else_and_repeats_itself(model_dir):
    model = load_model(model_dir)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first = fit_voice(model, [voice(2000)], stages=FEW)
    assert not changes(model, before)
    assert all(p.requires_grad for p in model.parameters())
    again = fit_voice(model, [voice(2000)], stages=FEW)
    np.testing.assert_array_equal(first.vector, again.vector)
    np.testing.assert_array_equal(first.spectrum, again.spectrum)


def test_layers_are_fitted_if_asked_and_only_they(model_dir):
    plain, model = load_model(model_dir), load_model(model_dir)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = fit_voice(plain, [voice(2000)], stages=FEW)
    with_layers = fit_voice(model, [voice(2000)], stages=FEW, layers=True)
    assert voice_loss(model, with_layers.vector, voice(2000)) < 0.9 * voice_loss(plain, found.vector, voice(2000))
    assert {name.split(".")[1] for name in changes(model, before)} == {"conditioner"}
    assert all(p.requires_grad for p in model.parameters())


def test_the_new_model_speaks_as_the_old_one_does_with_the_vector(model_dir, tmp_path):
    mine = Voice(np.array([0.3, -0.2, 0.1, 0.5], np.float32), np.linspace(1, -1, SPECTRAL_BANDS, dtype=np.float32))
    enroll(load_model(model_dir), "me", mine, tmp_path / "with_me", model_dir)
    old, new = Codec(model_dir), Codec(tmp_path / "with_me")
    assert new.speakers == ["dark", "bright", "me"]
    assert (tmp_path / "with_me" / "card.md").read_text() == "# tiny\n"
    units = old.units(np.arange(12) % 16)
    np.testing.assert_array_equal(old.decode(units, mine, Sampling(5)), new.decode(units, "me", Sampling(5)))
    np.testing.assert_array_equal(old.decode(units, "dark", Sampling(5)), new.decode(units, "dark", Sampling(5)))


@pytest.mark.parametrize("name", ["dark", "", "two words", " me"])
def test_names_that_cannot_be_are_refused(model_dir, tmp_path, name):
    with pytest.raises(InputError):
        enroll(load_model(model_dir), name, load_model(model_dir).voice("dark"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("samples", [voice(2000, 1.0), np.zeros(80000, np.float32)])
def test_too_little_speech_is_refused(model_dir, samples):
    with pytest.raises(AudioError, match="half a minute"):
        fit_voice(load_model(model_dir), [samples], stages=FEW)


def test_a_model_that_cannot_guess_is_refused(model_dir):
    model = load_model(model_dir)
    model.config = override(model.config, ["train.spectral_weight=0", "train.decoder_from=0"])
    with pytest.raises(ModelError, match="spectral_weight 0"):
        fit_voice(model, [voice(2000)], stages=FEW)


@pytest.mark.slow
def test_the_verb_writes_a_model_with_one_more_voice(model_dir, tmp_path):
    audio.write(tmp_path / "me.wav", voice(2000), 16000)
    asked = ["enroll", "--model", str(model_dir), "--name", "me", str(tmp_path / "me.wav"), "-o"]
    assert cli.main([*asked, str(tmp_path / "out")]) == 0
    assert load_model(tmp_path / "out").speakers == ["dark", "bright", "me"]
    assert cli.main([*asked, str(tmp_path / "layers"), "--layers"]) == 0
    old, new, fitted = (load_model(path).decoder.conditioner.state_dict() for path in (model_dir, tmp_path / "out", tmp_path / "layers"))
    assert all(torch.equal(old[name], new[name]) for name in old)
    assert not all(torch.equal(old[name], fitted[name]) for name in old)
