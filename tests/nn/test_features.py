"""Log-mel frames against librosa, and against torchaudio where it can be imported."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
import torch

from speechvq.nn.features import FLOOR, N_FFT, VARIANCE_FLOOR, LogMel, SlidingNorm


def test_mel_power_is_librosas():
    rng = np.random.default_rng(0)
    wav = rng.standard_normal(16000).astype(np.float32) * 0.1
    mel = LogMel(16000, 160, 80)
    ours = torch.exp(mel(torch.from_numpy(wav)[None])[0] * 3.0 - 7.0).numpy() - FLOOR
    before = (N_FFT - 160) // 2
    padded = np.pad(wav, (before, N_FFT - 160 - before))
    theirs = librosa.feature.melspectrogram(
        y=padded, sr=16000, n_fft=N_FFT, hop_length=160, win_length=400, center=False, fmin=50.0, n_mels=80, norm=None
    )
    window = np.hanning(401)[:400]
    np.testing.assert_allclose(ours, theirs / np.square(window).sum(), rtol=2e-3, atol=1e-6)


def test_a_frame_is_centred_on_its_samples():
    wav = torch.zeros(1, 64 * 40)
    wav[0, 64 * 20 + 32] = 1.0
    frames = LogMel(16000, 64, 20)(wav)[0].mean(0)
    assert frames.argmax() == 20
    assert torch.allclose(frames[19], frames[21], atol=1e-4)


def test_mel_filters_are_torchaudios():
    try:
        from torchaudio.functional import melscale_fbanks
    except (ImportError, OSError, RuntimeError) as error:
        pytest.skip(f"torchaudio cannot be imported here: {str(error).splitlines()[0]}")
    theirs = melscale_fbanks(N_FFT // 2 + 1, 50.0, 8000.0, 80, 16000, norm=None, mel_scale="slaney")
    assert torch.allclose(LogMel(16000, 64, 80).filters, theirs, atol=1e-4)


def test_sliding_norm_is_the_frames_around_by_hand():
    x = np.random.default_rng(1).standard_normal((2, 3, 20)) * 4 + 100
    ours = SlidingNorm(4)(torch.from_numpy(x)).numpy()
    for frame in range(20):
        around = x[:, :, max(frame - 4, 0) : frame + 5]
        by_hand = (x[:, :, frame] - around.mean(-1)) / np.sqrt(around.var(-1) + VARIANCE_FLOOR)
        np.testing.assert_allclose(ours[:, :, frame], by_hand, rtol=1e-9)


def test_warp_moves_a_tone_while_training_only():
    torch.manual_seed(0)
    mel = LogMel(16000, 160, 80, warp=0.2)
    tone = torch.sin(2 * torch.pi * 2000 / 16000 * torch.arange(16000))[None].repeat(64, 1)
    at_rest = mel.eval()(tone).mean(2).argmax(1)
    assert (at_rest == at_rest[0]).all()
    moved = mel.train()(tone).mean(2).argmax(1)
    centres = librosa.mel_frequencies(82, fmin=50.0, fmax=8000.0)[1:-1]
    # A spectrum stretched by s shows the tone at 1 / s of its frequency.
    low, high = centres[moved.min()], centres[moved.max()]
    assert 2000 / 1.25 < low < 2000 / 1.15 and 2000 / 0.85 < high < 2000 / 0.75
    assert len(set(moved.tolist())) >= 5


def test_no_warp_leaves_the_filters():
    mel = LogMel(16000, 160, 40, warp=0.1)
    assert torch.allclose(mel.warped[len(mel.warped) // 2], mel.filters, atol=1e-6)
