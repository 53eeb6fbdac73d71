"""The plain WaveNet that training is compared with is the same network."""

from __future__ import annotations

import argparse
import json

import pytest
import torch

from speechvq.bench import train as bench_train
from speechvq.bench.plain_wavenet import PlainWaveNet
from speechvq.config import DecoderConfig
from speechvq.errors import InputError
from speechvq.nn.wavenet import WaveNetDecoder


def parse(*options: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    bench_train.add_arguments(parser)
    return parser.parse_args(options)


@pytest.mark.parametrize("kernel", [2, 3])
def test_both_builds_give_the_same_logits_and_gradients(kernel):
    torch.manual_seed(0)
    ours = WaveNetDecoder(DecoderConfig(layers=5, residual=6, skip=10, kernel=kernel, dilation_cycle=3), 5, 8)
    for name, value in ours.named_parameters():
        if "bias" in name:
            torch.nn.init.normal_(value)
    samples = torch.randint(0, 256, (2, 48))
    told = torch.randn(2, 5, 12, 6, requires_grad=True)
    results = []
    for build in (ours, PlainWaveNet(ours)):
        logits = build(samples, told)
        results.append((logits, *torch.autograd.grad(logits.pow(2).sum(), [told, build.output.bias, build.skip_bias])))
    for mine, theirs in zip(*results, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)


def test_rows(capsys):
    assert bench_train.run(parse("--sizes", "D", "--batch", "1", "--crop", "128", "--rounds", "1", "--json")) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["build"] for row in rows] == ["speechvq", "plain"]
    assert all(row["samples_per_second"] > 0 and abs(row["nll_difference"]) < 1e-4 for row in rows)
    assert rows[1]["ratio_to_plain"] == 1.0


@pytest.mark.parametrize(("options", "fault"), [(("--sizes", "A,Z"), "'Z'"), (("--crop", "100"), "multiple of 64")])
def test_wrong_options(options, fault):
    with pytest.raises(InputError, match=fault):
        bench_train.run(parse(*options))
