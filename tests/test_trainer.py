"""Training: a resumed run is the uninterrupted one, bit for bit, and the codebook lives."""

from __future__ import annotations

import json

import pytest
import torch
from tiny import train_arguments

from speechvq.checkpoint import load_model, units_hash
from speechvq.cli import main
from speechvq.config import Config
from speechvq.config_tree import override
from speechvq.model import VQVAE, loudness_weights, noisy


def weights(exp, which="last"):
    return load_model(exp / which).state_dict()


def test_training_writes_an_experiment(tiny_exp):
    assert {"best", "last", "trainer.pt", "log.jsonl", "config.yaml"} <= {path.name for path in tiny_exp.iterdir()}
    lines = [json.loads(line) for line in (tiny_exp / "log.jsonl").read_text().splitlines()]
    dev = [line for line in lines if "dev_nll" in line]
    assert [line["step"] for line in dev] == [8, 16]
    assert all(line["dev_bits"] == pytest.approx(line["dev_nll"] / 0.693147, rel=1e-4) for line in dev)
    assert lines[0]["perplexity"] is not None
    assert lines[0]["nll"] is None, "the WaveNet joins later"


def test_resume_is_exact(tiny_data, tiny_exp, tmp_path, monkeypatch):
    exp = tmp_path / "broken"
    from speechvq.trainer import Trainer

    update = Trainer._update

    def stop_at_eleven(self):
        if self.step == 11:
            raise KeyboardInterrupt
        return update(self)

    monkeypatch.setattr(Trainer, "_update", stop_at_eleven)
    assert main(train_arguments(tiny_data, exp)) == 130
    monkeypatch.undo()
    assert main(train_arguments(tiny_data, exp, "--resume")) == 0
    whole, resumed = torch.load(tiny_exp / "trainer.pt", weights_only=True), torch.load(exp / "trainer.pt", weights_only=True)
    for part in ("model", "average"):
        assert all(torch.equal(whole[part][name], value) for name, value in resumed[part].items())
    assert whole["step"] == resumed["step"] == 16


def test_an_encoder_alone_can_be_trained(tiny_data, tmp_path, capsys):
    exp = tmp_path / "units"
    assert main(train_arguments(tiny_data, exp, "--set", "train.decoder_from=99")) == 0
    said = capsys.readouterr()
    assert str(exp / "last") in said.out
    assert "nan" not in said.out + said.err
    assert not (exp / "best").exists()


def test_an_experiment_is_not_overwritten(tiny_data, tiny_exp, capsys):
    assert main(train_arguments(tiny_data, tiny_exp)) == 2
    assert "--resume" in capsys.readouterr().err


def test_nothing_to_resume_is_said(tiny_data, tmp_path, capsys):
    assert main(train_arguments(tiny_data, tmp_path / "new", "--resume")) == 2
    assert "nothing to resume" in capsys.readouterr().err


def test_fine_tuning_starts_from_the_model(tiny_data, tiny_exp, tmp_path):
    exp = tmp_path / "tuned"
    assert main(train_arguments(tiny_data, exp, "--init", str(tiny_exp / "best"), "--set", "train.steps=1", "--set", "train.learning_rate=1e-9")) == 0
    before, after = weights(tiny_exp, "best"), weights(exp)
    assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in before if "quantizer" not in name)


def test_units_can_be_held_while_all_else_learns(tiny_data, tiny_exp, tmp_path, capsys):
    exp, held = tmp_path / "tuned", ["--set", "train.hold_units=true", "--set", "train.steps=2"]
    assert main(train_arguments(tiny_data, exp, "--init", str(tiny_exp / "best"), *held)) == 0
    before, after = load_model(tiny_exp / "best"), load_model(exp / "last")
    assert units_hash(before) == units_hash(after)
    changed = {name.split(".")[0] for name, value in before.state_dict().items() if not torch.equal(value, after.state_dict()[name])}
    assert {"decoder", "speaker", "spectral"} <= changed and not changed & {"encoder", "quantizer"}
    assert main(train_arguments(tiny_data, tmp_path / "new", *held)) == 2
    assert "--init" in capsys.readouterr().err


def test_fine_tuning_goes_on_as_such(tiny_data, tiny_exp, tmp_path):
    exp, stopped = tmp_path / "tuned", ["--set", "train.validate_every=1", "--set", "train.log_every=1"]
    assert main(train_arguments(tiny_data, exp, "--init", str(tiny_exp / "best"), "--set", "train.steps=1", *stopped)) == 0
    assert main(train_arguments(tiny_data, exp, "--resume", "--set", "train.steps=2", *stopped)) == 0
    lines = [json.loads(line) for line in (exp / "log.jsonl").read_text().splitlines()]
    assert all(line["nll"] for line in lines if "nll" in line), "the WaveNet takes part from the first step"


def test_a_damaged_state_is_told(tiny_data, tmp_path, capsys):
    (tmp_path / "exp").mkdir()
    (tmp_path / "exp" / "trainer.pt").write_bytes(b"junk")
    assert main(train_arguments(tiny_data, tmp_path / "exp", "--resume")) == 2
    assert "trainer.pt is damaged" in capsys.readouterr().err
    assert not (tmp_path / "exp" / "config.yaml").exists()


def test_held_out_utterances_are_refused(tiny_data, tmp_path, capsys):
    from speechvq.corpus import DataDir, write_data_dir

    data = DataDir(tiny_data / "train")
    for part, held in (("train", ["low-train0"]), ("dev", [])):
        source = DataDir(tiny_data / part)
        write_data_dir(tmp_path / part, [source.utterance(utt) for utt in source.utterances], held)
    assert data.held_out == frozenset()
    assert main(train_arguments(tmp_path, tmp_path / "exp")) == 2
    assert "low-train0" in capsys.readouterr().err


@pytest.mark.parametrize(("quantize", "heard"), [(False, 0), (True, 0), (True, 2)])
def test_each_stage_trains_what_it_should(quantize, heard):
    torch.manual_seed(0)
    model = VQVAE(override(Config(), ["decoder.layers=3", "decoder.residual=8", "decoder.skip=8"]), ["a", "b"])
    wav = torch.randn(2, 640) * 0.1
    losses = model(wav, torch.randint(0, 256, (2, 640)), torch.tensor([0, 1]), quantize, heard)
    losses.total.backward()
    assert model.encoder.project[1].weight.grad.abs().sum() > 0
    assert (model.decoder.gate.grad is not None) == bool(heard)
    assert (losses.ids is not None) == quantize
    assert (losses.nll is not None) == bool(heard)


def test_the_encoder_learns_from_all_crops_and_the_wavenet_from_the_first():
    torch.manual_seed(0)
    model = VQVAE(override(Config(), ["decoder.layers=3", "decoder.residual=8", "decoder.skip=8"]), ["a", "b"]).eval()
    wav, classes, speaker = torch.randn(3, 640) * torch.tensor([[0.1], [0.1], [0.01]]), torch.randint(0, 256, (3, 640)), torch.tensor([0, 1, 0])
    all_three, first, two = model(wav, classes, speaker, heard=3), model(wav[:1], classes[:1], speaker[:1]), model(wav, classes, speaker, heard=1)
    assert two.nll.item() == pytest.approx(first.nll.item(), rel=1e-5)
    assert two.spectral.item() == pytest.approx(all_three.spectral.item(), rel=1e-5)
    assert two.spectral.item() != pytest.approx(first.spectral.item(), rel=1e-3)
    assert two.ids.shape == (3, 10)


def test_noise_is_on_what_is_looked_back_on():
    torch.manual_seed(0)
    classes = torch.full((400, 500), 128)
    moved = (noisy(classes, 3.0) - classes).double()
    deviations = moved.square().mean(1).sub(1 / 12).clamp(min=0).sqrt()
    assert moved.mean().abs() < 0.05
    assert 1.3 < deviations.mean() < 1.7 and 2.7 < deviations.max() < 3.4, "each crop's own, evenly up to the largest"
    assert noisy(torch.full((9, 500), 255), 3.0).max() == 255
    small = override(Config(), ["decoder.layers=3", "decoder.residual=8", "decoder.skip=8", "train.input_noise=20"])
    model = VQVAE(small, ["a", "b"]).eval()
    wav, classes = torch.randn(1, 640), torch.randint(0, 256, (1, 640))
    conditioning = model.condition(model.encode(wav[:, None]), model.speaker.weight[:1])
    seen = []
    model.decoder.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    clean, blurred = model.nll(classes, conditioning), model(wav, classes, torch.tensor([0])).nll
    assert torch.equal(seen[0], classes) and not torch.equal(seen[1], classes)
    targets = torch.nn.functional.cross_entropy(model.decoder(seen[1], conditioning), classes)
    assert blurred.item() == pytest.approx(targets.item(), rel=1e-5) != clean.item()


def test_loud_samples_count_more():
    torch.manual_seed(0)
    wav = torch.randn(2, 8192) * torch.tensor([[0.1], [0.001]])
    weights = loudness_weights(wav, 0.5)
    assert weights.shape == wav.shape and weights.mean().item() == pytest.approx(1.0)
    loud, quiet = weights[:, 512:-512].mean(1)
    assert loud / quiet == pytest.approx(10.0, rel=0.02), "amplitudes 100 times as large, to the power of a half"
    changes = ["decoder.layers=3", "decoder.residual=8", "decoder.skip=8"]
    model = VQVAE(override(Config(), [*changes, "train.loudness_weight=0.5"]), ["a", "b"]).eval()
    classes, speaker = torch.randint(0, 256, (2, 8192)), torch.tensor([0, 1])
    logits = model.decoder(classes, model.condition(model.encode(wav[:, None]), model.speaker.weight))
    surprise = torch.nn.functional.cross_entropy(logits, classes, reduction="none")
    assert model(wav, classes, speaker).nll.item() == pytest.approx((surprise * weights).mean().item(), rel=1e-5)


@pytest.mark.slow
def test_the_codebook_does_not_collapse_on_real_speech(corpora, tmp_path):
    from speechvq.corpus import Utterance, write_data_dir

    for part, numbers in (("train", slice(0, 60)), ("dev", slice(60, 70))):
        files = sorted((corpora / "cmu_arctic" / "cmu_us_slt_arctic" / "wav").glob("*.flac"))[numbers]
        write_data_dir(tmp_path / part, [Utterance(f"slt-{path.stem}", "slt", path) for path in files])
    # So short a run is judged by its weights, not by an average that still remembers the start.
    steps = ["train.average_decay=0.5", "train.learning_rate=1e-3", "train.steps=200", "train.quantize_from=150", "train.decoder_from=199"]
    arguments = ["train", "mini64", "--data", str(tmp_path / "train"), "--dev", str(tmp_path / "dev"), "--exp", str(tmp_path / "exp")]
    assert main([*arguments, *(part for step in steps for part in ("--set", step))]) == 0
    lines = [json.loads(line) for line in (tmp_path / "exp" / "log.jsonl").read_text().splitlines()]
    # Over the ten dev utterances, not over a batch; a plain build stands at 1 by step 50.
    assert [line["dev_perplexity"] for line in lines if "dev_perplexity" in line][-1] > 64
