"""What converted recordings are judged by; each judge knows one thing and needs one package at most.

A judge's `measure` gives named values of one recording: numbers, or None where there is nothing to compare with.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from speechvq.corpus import DataDir
from speechvq.errors import AudioError, InputError, MissingDependency
from speechvq.evaluate.conversion_files import Conversion, Parallel
from speechvq.metrics.cepstrum import aligned_frames, mel_cepstral_distortion, mel_cepstrum
from speechvq.metrics.edits import edit_distance
from speechvq.metrics.pitch import log_pitch_error, pitch
from speechvq.metrics.speakers import SpeakerCheck
from speechvq.sphinx.recognise import Recogniser
from speechvq.sphinx.words import normalize

RATE = 16000
# Enough for a stable mean of a voice; more takes longer and changes little.
TRAIN_UTTERANCES = 40
REAL_UTTERANCES = 200

Values = dict[str, float | None]


@dataclass(frozen=True)
class Case:
    """A conversion with its audio: the converted recording and its source, [T] at 16 kHz, and what is said."""

    conversion: Conversion
    converted: np.ndarray
    original: np.ndarray
    text: str | None


def real_recordings(data: DataDir, utts: Iterable[str], faults: list[str]) -> dict[str, np.ndarray]:
    """Samples [T] of utterances at 16 kHz, without those that cannot be read: each is a line more in `faults`."""
    found = {}
    for utt in utts:
        try:
            found[utt] = data.audio(utt, RATE)
        except AudioError as error:
            faults.append(str(error))
    return found


class Judge(Protocol):
    """Anything that measures a case."""

    def measure(self, case: Case) -> Values: ...


class Spectra:
    """Mel-cepstral distortion and pitch, against the target speaker's own recording of the sentence.

    Args:
        parallel: where those recordings are.
        faults: is given a line for each that cannot be read.
    """

    def __init__(self, parallel: Parallel, faults: list[str]):
        self._parallel, self._faults = parallel, faults

    def measure(self, case: Case) -> Values:
        tracks = pitch(case.converted, RATE), pitch(case.original, RATE)
        length = min(map(len, tracks))
        to_source = log_pitch_error(tracks[0][:length], tracks[1][:length])
        values: Values = {"mcd": None, "mcd_source": None, "log_f0_rmse": None, "log_f0_correlation": None}
        values["log_f0_correlation_with_source"] = to_source["correlation"]
        found = self._parallel.find(case.conversion.target, case.text)
        if found is None:
            return values
        data, utt = found
        real = real_recordings(data, [utt], self._faults).get(utt)
        if real is None:
            return values
        cepstra = [mel_cepstrum(x, RATE) for x in (case.converted, case.original, real)]
        pairs = aligned_frames(cepstra[0], cepstra[2])
        error = log_pitch_error(tracks[0][pairs[:, 0]], pitch(real, RATE)[pairs[:, 1]])
        values |= {"log_f0_rmse": error["rmse"], "log_f0_correlation": error["correlation"]}
        values["mcd"] = mel_cepstral_distortion(cepstra[0], cepstra[2], pairs)
        if not case.conversion.is_reconstruction:
            values["mcd_source"] = mel_cepstral_distortion(cepstra[1], cepstra[2])
        return values


class Quality:
    """STOI and PESQ of reconstructions against their originals.

    Raises:
        MissingDependency: the package of the measure is not installed.
    """

    def __init__(self, measure: str):
        try:
            if measure == "stoi":
                from pystoi import stoi

                self._score = lambda original, made: stoi(original, made, RATE)
            else:
                from pesq import pesq

                self._score = lambda original, made: pesq(RATE, original, made, "wb", on_error=1)
        except ImportError:
            raise MissingDependency({"stoi": "pystoi"}.get(measure, measure), "metrics") from None
        self._name = measure

    def measure(self, case: Case) -> Values:
        if not case.conversion.is_reconstruction:
            return {self._name: None}
        length = min(len(case.original), len(case.converted))
        value = float(self._score(case.original[:length], case.converted[:length]))
        # PESQ answers -1 where it finds no speech.
        return {self._name: value if value >= 0 else None}


class Voices:
    """Whose voice it is, by a check trained on real recordings.

    Args:
        train: those recordings.
        targets: voices that were converted to.
        faults: is given a line for each real recording that cannot be read.
        seed: of the choice of recordings.

    Raises:
        InputError: no training recordings, or of one speaker only.
    """

    def __init__(self, train: DataDir | None, targets: set[str], faults: list[str], seed: int = 0):
        if train is None:
            raise InputError("the speaker check needs --train-data, real recordings of the target voices")
        rng = np.random.default_rng(seed)
        by_speaker: dict[str, list[str]] = {}
        for utt in rng.permutation(train.utterances):
            chosen = by_speaker.setdefault(train.utt2spk[str(utt)], [])
            if len(chosen) < TRAIN_UTTERANCES:
                chosen.append(str(utt))
        recordings = {name: list(real_recordings(train, utts, faults).values()) for name, utts in by_speaker.items()}
        self.check = SpeakerCheck({name: samples for name, samples in recordings.items() if samples})
        self._targets = targets & set(self.check.speakers)
        self._train, self._faults = train, faults

    def measure(self, case: Case) -> Values:
        target, source = case.conversion.target, case.conversion.source
        values = self._choose(case.converted, target)
        if source != target:
            values["similarity_to_source"] = self.check.similarities(case.converted).get(source)
        return values

    def on_real(self, data: DataDir, seed: int = 0) -> Values:
        """How often the check is right on real recordings of the target voices that it was not trained on."""
        unseen = [u for u in data.utterances if data.utt2spk[u] in self._targets and u not in self._train]
        chosen = map(str, np.random.default_rng(seed).permutation(unseen)[:REAL_UTTERANCES])
        values = [self._choose(x, data.utt2spk[utt]) for utt, x in real_recordings(data, chosen, self._faults).items()]
        keys = ("similarity_to_target", "target_chosen_of_all", "target_chosen_of_targets")
        means = {key: float(np.mean([v[key] for v in values])) if values else None for key in keys}
        return means | {"utterances": len(values), "speakers": len(self.check.speakers), "targets": len(self._targets)}

    def _choose(self, samples: np.ndarray, target: str) -> Values:
        if target not in self.check.speakers:
            return dict.fromkeys(("similarity_to_target", "target_chosen_of_all", "target_chosen_of_targets"))
        found = self.check.similarities(samples)
        return {
            "similarity_to_target": found[target],
            "target_chosen_of_all": float(max(found, key=found.__getitem__) == target),
            "target_chosen_of_targets": float(max(self._targets, key=found.__getitem__) == target),
        }


class Words:
    """Word and letter errors of a recogniser, on the recording and on its original.

    Raises:
        MissingDependency: pocketsphinx is not installed.
    """

    def __init__(self):
        self._recogniser = Recogniser()
        self._originals: dict[str, tuple[int, int]] = {}

    def measure(self, case: Case) -> Values:
        wanted = normalize(case.text or "")
        if not wanted:
            return {}
        utt = case.conversion.utt
        if utt not in self._originals:
            self._originals[utt] = self._errors(case.original, wanted)
        errors = self._errors(case.converted, wanted) + self._originals[utt]
        names = ("word_errors", "letter_errors", "word_errors_original", "letter_errors_original")
        return dict(zip(names, map(float, errors), strict=True)) | {"words": len(wanted), "letters": len(" ".join(wanted))}

    def _errors(self, samples: np.ndarray, wanted: list[str]) -> tuple[int, int]:
        heard = self._recogniser.transcribe(samples)
        return edit_distance(wanted, heard), edit_distance(" ".join(wanted), " ".join(heard))
