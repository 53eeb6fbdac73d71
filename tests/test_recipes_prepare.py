"""The prepare scripts, on small copies of each layout and, where they are, on real corpora."""

import argparse
import importlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from test_corpus import kaldi_says, sound

from speechvq import audio
from speechvq.alignment import PHONES
from speechvq.corpus import DataDir, refuse_held_out
from speechvq.corpus_validate import faults
from speechvq.errors import AlignmentError, CorpusError

RECIPES = Path(__file__).parents[1] / "recipes"
SETS = ("train", "dev", "test", "test_unseen")


@pytest.fixture(autouse=True)
def recipes_on_path(monkeypatch):
    monkeypatch.syspath_prepend(str(RECIPES))


def prepare(name, *arguments):
    """Run a prepare script in this process; returns how many files it left out."""
    script = importlib.import_module(f"prepare_{name}")
    parser = argparse.ArgumentParser()
    script.add_arguments(parser)
    return script.prepare(parser.parse_args([str(a) for a in arguments]))


def folder_of(path, *names, seconds=0.2, rate=16000):
    for name in names:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        sound(path / name, seconds, rate)
    return path


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def sets_of(out):
    return {name: DataDir(out / name).utterances for name in SETS if (out / name).is_dir()}


def check(out):
    """What holds for every corpus: valid, disjoint, complete, and only train may be trained on."""
    sets = sets_of(out)
    everything = DataDir(out / "all").utterances
    assert sorted(utt for utts in sets.values() for utt in utts) == sorted(everything)
    for name in ("all", *sets):
        assert faults(out / name) == []
    refuse_held_out(DataDir(out / "train"))
    with pytest.raises(CorpusError, match="train on the train set"):
        refuse_held_out(DataDir(out / "all"))
    train = DataDir(out / "train")
    if "dev" in sets:
        assert set(DataDir(out / "dev").speakers) <= set(train.speakers)
    if "test_unseen" in sets:
        assert not set(DataDir(out / "test_unseen").speakers) & set(train.speakers)
    return sets


def vctk_092(path):
    folder_of(
        path / "wav48_silence_trimmed",
        "p225/p225_001_mic1.flac", "p225/p225_001_mic2.flac", "p225/p225_004_mic1.flac", "p225/p225_004_mic2.flac",
        "p225/p225_005_mic2.flac", "p239/p239_001_mic2.flac", "p280/p280_001_mic1.flac", "p315/p315_001_mic1.flac",
        "p226/p226_019_mic2.flac", "s5/s5_001_mic2.flac",
    )  # fmt: skip
    write(path / "speaker-info.txt", "ID AGE GENDER ACCENTS REGION COMMENTS\np225 23 F English\np226 22 M English\np239 22 F English\n")
    for name in ("p225/p225_001", "p225/p225_004", "p225/p225_005", "p226/p226_019", "p239/p239_001", "p280/p280_001", "s5/s5_001"):
        write(path / "txt" / f"{name}.txt", f"text of {name} \n")
    write(path / "alignments" / "p225" / "p225_005.lab", "0 1000000 sil\n1000000 2000000 AH0\n")
    return path


def test_vctk_092(tmp_path, capsys):
    assert prepare("vctk", vctk_092(tmp_path / "c"), tmp_path / "out") == 0
    sets = check(tmp_path / "out")
    assert sets == {
        "train": ["p225-p225_001", "p280-p280_001", "p315-p315_001", "s5-s5_001"],
        "dev": ["p225-p225_004"],
        "test": ["p225-p225_005", "p226-p226_019"],  # p226 has nothing in train
        "test_unseen": ["p239-p239_001"],
    }
    data = DataDir(tmp_path / "out" / "all")
    assert data.text["p225-p225_001"] == "text of p225/p225_001" and "p315-p315_001" not in data.text
    assert [i.label for i in data.alignment("p225-p225_005")] == ["sil", "AH0"]
    assert DataDir(tmp_path / "out" / "test_unseen").genders == {"p239": "f"}
    scp = (tmp_path / "out" / "all" / "wav.scp").read_text()
    assert "p225_001_mic2.flac" in scp and "p315_001_mic1.flac" in scp and "p225_001_mic1.flac" not in scp
    assert "4 utterances, 4 speakers" in capsys.readouterr().out


def test_vctk_other_microphone(tmp_path):
    prepare("vctk", vctk_092(tmp_path / "c"), tmp_path / "out", "--mic", 1)
    scp = (tmp_path / "out" / "all" / "wav.scp").read_text()
    assert "p225_001_mic1.flac" in scp and "p225_001_mic2.flac" not in scp and "p225_005_mic2.flac" in scp


def test_vctk_080(tmp_path):
    corpus = folder_of(tmp_path / "c" / "wav48", "p226/p226_001.wav", "p226/p226_005.wav", rate=48000).parent
    write(corpus / "speaker-info.txt", "ID  AGE  GENDER  ACCENTS  REGION\n226  22  M  English  Surrey\n")
    write(corpus / "txt" / "p226" / "p226_001.txt", "Please call Stella.\n")
    assert prepare("vctk", corpus, tmp_path / "out") == 0
    assert check(tmp_path / "out") == {"train": ["p226-p226_001"], "test": ["p226-p226_005"]}
    data = DataDir(tmp_path / "out" / "all")
    assert data.genders == {"p226": "m"} and len(data.audio("p226-p226_001")) == 3200


def test_a_broken_file_is_left_out_and_the_rest_goes_on(tmp_path, capsys):
    corpus = vctk_092(tmp_path / "c")
    (corpus / "wav48_silence_trimmed" / "p225" / "p225_001_mic2.flac").write_bytes(b"")
    write(corpus / "alignments" / "p225" / "p225_005.lab", "sil\n")
    assert prepare("vctk", corpus, tmp_path / "out") == 2
    assert len(DataDir(tmp_path / "out" / "all")) == 6 + 1
    errors = capsys.readouterr().err.splitlines()
    assert "p225_001_mic2.flac: not an audio file" in errors[0] and "p225_005.lab line 1" in errors[1]


def test_alignments_from_elsewhere(tmp_path):
    corpus = vctk_092(tmp_path / "c")
    write(tmp_path / "times.ctm", "p225-p225_001 1 0.0 0.1 AA\np226_019 1 0.0 0.1 T\n")
    prepare("vctk", corpus, tmp_path / "out", "--alignments", tmp_path / "times.ctm")
    assert set(DataDir(tmp_path / "out" / "all").alignments) == {"p225-p225_001", "p226-p226_019"}
    with pytest.raises(AlignmentError, match="neither a .ctm file nor a folder"):
        prepare("vctk", corpus, tmp_path / "out", "--alignments", tmp_path / "nothing")


def test_librispeech(tmp_path):
    corpus = folder_of(
        tmp_path / "c", "train-clean-100/19/198/19-198-0000.flac", "train-clean-100/19/198/19-198-0001.flac",
        "train-clean-100/78/368/78-368-0000.flac", "train-clean-100/100/1/100-1-0000.flac", "dev-clean/84/1/84-1-0000.flac",
    )  # fmt: skip
    write(corpus / "train-clean-100/19/198/19-198.trans.txt", "19-198-0000 NORTHANGER ABBEY\n")
    write(corpus / "SPEAKERS.TXT", "; comment\n;ID  |SEX| ...\n19   | F | x | 1 | -\n78 | M | x |1| - \n84 | F | x |1| -\n100 | F | x |1| -\n")
    assert prepare("librispeech", corpus, tmp_path / "out") == 0
    sets = check(tmp_path / "out")
    assert sets["test_unseen"] == ["78-368-0000", "84-1-0000"] and "100-1-0000" in sets["train"]
    data = DataDir(tmp_path / "out" / "all")
    assert data.genders["78"] == "m" and data.text == {"19-198-0000": "NORTHANGER ABBEY"}
    prepare("librispeech", corpus, tmp_path / "out2", "--subsets", "train-clean-100")
    assert "84" not in DataDir(tmp_path / "out2" / "all").speakers


def test_arctic(tmp_path):
    names = [f"wav/arctic_a{n:04d}.wav" for n in (1, 6, 12)]
    corpus = tmp_path / "c"
    for speaker in ("bdl", "slt"):
        folder_of(corpus / f"cmu_us_{speaker}_arctic", *names)
        write(corpus / f"cmu_us_{speaker}_arctic/etc/txt.done.data", '( arctic_a0001 "Author of the "danger" trail." )\n')
    write(corpus / "alignments" / "slt" / "arctic_a0012.lab", "0 1000000 sil\n")
    assert prepare("arctic", corpus, tmp_path / "out") == 0
    assert check(tmp_path / "out") == {
        name: [f"{speaker}-arctic_a{n:04d}" for speaker in ("bdl", "slt")] for name, n in (("train", 1), ("dev", 6), ("test", 12))
    }
    data = DataDir(tmp_path / "out" / "all")
    assert data.text["slt-arctic_a0001"] == 'Author of the "danger" trail.' and data.genders == {"bdl": "m", "slt": "f"}
    assert set(data.alignments) == {"slt-arctic_a0012"}
    prepare("arctic", corpus / "cmu_us_slt_arctic", tmp_path / "one")
    assert DataDir(tmp_path / "one" / "all").speakers == ["slt"]
    with pytest.raises(CorpusError, match="no speaker 'xyz', it has bdl, slt"):
        prepare("arctic", corpus, tmp_path / "out", "--speakers", "xyz")


def test_several_corpora_become_one(tmp_path):
    vctk_092(tmp_path / "c" / "VCTK-Corpus-0.92")
    folder_of(tmp_path / "c" / "VCTK-Corpus" / "wav48", "p225/p225_001.wav", "p225/p225_007.wav", rate=48000)
    folder_of(tmp_path / "c" / "cmu_arctic" / "cmu_us_slt_arctic" / "wav", *(f"arctic_a{n:04d}.wav" for n in (1, 6, 12)))
    folder_of(tmp_path / "c" / "LibriSpeech" / "train-clean-100" / "78" / "368", *(f"78-368-{n:04d}.flac" for n in (5, 12, 13, 19)))
    assert prepare("multi", tmp_path / "c", tmp_path / "out") == 0
    sets = check(tmp_path / "out")
    parts = [sets_of(path) for path in (tmp_path / "out" / "parts").iterdir()]
    for name, utts in sets.items():
        assert {u for u in utts if u[:3] != "78-"} == {utt for part in parts for utt in part.get(name, []) if utt[:3] != "78-"}
    assert [sum(u[:3] == "78-" for u in sets.get(name, ())) for name in ("train", "dev", "test")] == [2, 1, 1], "a voice, though unseen in a part"
    assert {"p225-p225_001", "p225-p225_007", "slt-arctic_a0001"} <= set(sets["train"])
    assert sets["test_unseen"] == ["p239-p239_001"]
    scp = (tmp_path / "out" / "all" / "wav.scp").read_text()
    assert "VCTK-Corpus-0.92/wav48_silence_trimmed/p225/p225_001" in scp
    assert "VCTK-Corpus/wav48/p225/p225_001" not in scp
    with pytest.raises(CorpusError, match="holds none of cmu_arctic"):
        prepare("multi", tmp_path / "out", tmp_path / "other")


def test_fsdd(tmp_path):
    corpus = folder_of(tmp_path / "c", *(f"recordings/7_{s}_{n}.wav" for s in ("george", "nicolas") for n in (0, 5, 10)), rate=8000)
    assert prepare("fsdd", corpus, tmp_path / "out") == 0
    assert {name: len(utts) for name, utts in check(tmp_path / "out").items()} == {"train": 1, "dev": 1, "test": 1, "test_unseen": 3}
    assert DataDir(tmp_path / "out" / "all").text["george-7_george_10"] == "seven"


def own_recordings(tmp_path):
    corpus = folder_of(tmp_path / "c", *(f"Anna-Lena K./take {n}.wav" for n in range(20)), "zoë/deep/down/x.ogg", "zoë/y.mp3", "tom/z.flac")
    write(corpus / "tom" / "z.txt", "hello\nworld\n")
    write(corpus / "notes" / "readme.md", "no audio here")
    return corpus


def test_folder(tmp_path):
    corpus = own_recordings(tmp_path)
    assert prepare("folder", corpus, tmp_path / "out", "--unseen", "tom") == 0
    sets = check(tmp_path / "out")
    assert {name: len(utts) for name, utts in sets.items()} == {"train": 18, "dev": 2, "test": 2, "test_unseen": 1}
    assert DataDir(tmp_path / "out" / "all").text == {"tom-z": "hello world"}
    assert DataDir(tmp_path / "out" / "all").speakers == ["Anna_Lena_K.", "tom", "zoë"]


def test_folder_splits_the_same_way_when_files_are_added(tmp_path):
    corpus = own_recordings(tmp_path)
    prepare("folder", corpus, tmp_path / "out")
    before = sets_of(tmp_path / "out")
    folder_of(corpus, "new/a.wav")
    prepare("folder", corpus, tmp_path / "out")
    assert sets_of(tmp_path / "out")["test"] == before["test"]


@pytest.mark.parametrize("name", ["vctk", "librispeech", "arctic", "fsdd", "folder"])
def test_another_folder_is_refused(tmp_path, name):
    (tmp_path / "c").mkdir()
    with pytest.raises(CorpusError, match=str(tmp_path / "c")):
        prepare(name, tmp_path / "c", tmp_path / "out")
    assert not (tmp_path / "out" / "all").exists()


def test_folder_names_that_become_one(tmp_path):
    folder_of(tmp_path / "c", "a-b/x.wav", "a b/y.wav")
    with pytest.raises(CorpusError, match="also called 'a_b'"):
        prepare("folder", tmp_path / "c", tmp_path / "out")


def run_script(name, *arguments):
    command = [sys.executable, RECIPES / f"prepare_{name}.py", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def test_the_command_line(tmp_path):
    good = run_script("folder", own_recordings(tmp_path), tmp_path / "out")
    assert good.returncode == 0 and "23 utterances, 3 speakers" in good.stdout
    bad = run_script("folder", tmp_path / "nothing", tmp_path / "out")
    assert bad.returncode == 2 and len(bad.stderr.splitlines()) == 1
    (tmp_path / "c" / "tom" / "z.flac").write_text("broken")
    assert run_script("folder", tmp_path / "c", tmp_path / "out").returncode == 1


def test_splits_are_disjoint_and_sorted():
    for corpus in ("vctk", "librispeech", "arctic", "fsdd", "multi"):
        lists = {name: (RECIPES / "splits" / f"{corpus}.{name}.txt").read_text().splitlines() for name in ("dev", "test")}
        assert not set(lists["dev"]) & set(lists["test"])
        for utts in lists.values():
            assert utts == sorted(set(utts))
        unseen = RECIPES / "splits" / f"{corpus}.unseen_speakers.txt"
        speakers = set(unseen.read_text().split()) if unseen.exists() else set()
        assert not speakers & {utt.split("-")[0] for utts in lists.values() for utt in utts}


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory):
    pytest.importorskip("espeakng_loader")
    out = tmp_path_factory.mktemp("synthetic")
    result = run_script("synthetic", out, "--voices", 4, "--minutes", 1.2)
    assert result.returncode == 0, result.stderr
    return out


def test_synthetic_corpus(synthetic):
    sets = check(synthetic)
    assert set(sets) == {"train", "dev", "test"}
    data = {name: DataDir(synthetic / name) for name in ("all", *sets)}
    assert all(d.speakers == ["syn000", "syn001", "syn002", "syn003"] for d in data.values())
    said = {name: set(data[name].text.values()) for name in sets}
    assert not said["train"] & said["dev"] and not said["train"] & said["test"] and not said["dev"] & said["test"]
    seconds = sum(data["all"].duration(utt) for utt in data["all"].utterances)
    assert 72 <= seconds < 72 + 4 * 3 * 8
    assert set(data["all"].alignments) == set(data["all"].utterances)
    assert set(data["all"].genders.values()) == {"m", "f"}


def test_synthetic_phone_times_fit_the_sound(synthetic):
    data = DataDir(synthetic / "train")
    power, crossings = {}, {}
    for utt in data.utterances:
        samples = data.audio(utt)
        frames = samples[: len(samples) // 160 * 160].reshape(-1, 160)
        for label, frame in zip(data.alignment(utt).frame_labels(len(frames), 160, 16000), frames, strict=True):
            power.setdefault(label, []).append(np.log10((frame**2).mean()))
            crossings.setdefault(label, []).append((np.diff(np.sign(frame)) != 0).mean())
    assert set(power) <= {*PHONES, "SIL"} and len(power) > 35
    loud, noisy = ({label: np.mean(v) for label, v in d.items()} for d in (power, crossings))
    assert all(loud["SIL"] < loud[label] - 1.5 for label in power if label != "SIL")
    assert all(loud[vowel] > loud[stop] for vowel in ("AA", "EH", "EY", "AO") for stop in ("P", "T", "K", "F", "TH"))
    assert all(noisy[fricative] > 2 * noisy[sonorant] for fricative in ("S", "SH") for sonorant in ("M", "N", "AA", "W"))


def test_synthetic_voices_differ(synthetic):
    data = DataDir(synthetic / "train")
    traits = {}
    for utt in data.utterances:
        samples = data.audio(utt)
        spectrum = np.abs(np.fft.rfft(samples[: len(samples) // 512 * 512].reshape(-1, 512) * np.hanning(512)))[:, 4:]
        bands = np.log(spectrum.reshape(len(spectrum), -1, 11).mean(axis=2) + 1e-3)
        traits.setdefault(data.utt2spk[utt], []).append(bands.mean(axis=0))
    right = total = 0
    for speaker, own in traits.items():
        for k, one in enumerate(own):
            others = {s: np.mean([t for j, t in enumerate(v) if (s, j) != (speaker, k)], axis=0) for s, v in traits.items()}
            right += min(others, key=lambda s: np.linalg.norm(one - others[s])) == speaker
            total += 1
    assert right / total > 0.8


def test_synthetic_corpus_is_the_same_every_time(synthetic, tmp_path):
    assert run_script("synthetic", tmp_path, "--voices", 4, "--minutes", 1.2).returncode == 0
    utt = DataDir(tmp_path / "test").utterances[0]
    np.testing.assert_array_equal(DataDir(tmp_path / "test").audio(utt), DataDir(synthetic / "test").audio(utt))
    run_script("synthetic", tmp_path, "--voices", 4, "--minutes", 0.3, "--seed", 1)
    assert DataDir(tmp_path / "test").text != DataDir(synthetic / "test").text


def test_sentences_have_arpabet_phones_only():
    pytest.importorskip("espeakng_loader")
    code = (
        "import prepare_synthetic as p; from espeak import Espeak; e = Espeak({'v': 'gender male'});"
        "lines = p.SENTENCES.read_text().splitlines(); assert len(lines) == len(set(lines)) > 200;"
        "[e.say(line, 'v', 160) for line in lines]"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=RECIPES, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


REAL = {
    "vctk80": ("vctk", "VCTK-Corpus", 59, 14),
    "vctk92": ("vctk", "VCTK-Corpus-0.92", 430, 58),
    "librispeech": ("librispeech", "LibriSpeech", 357, 0),
    "arctic": ("arctic", "cmu_arctic", 1186, 0),
    "fsdd": ("fsdd", "free-spoken-digit-dataset", 2000, 0),
    "multi": ("multi", ".", 2032, 72),
}


@pytest.mark.parametrize("case", REAL)
def test_real_corpora(tmp_path, case):
    corpora = os.environ.get("SPEECHVQ_CORPORA")
    if not corpora:
        pytest.skip("SPEECHVQ_CORPORA is not set: no real speech at hand")
    name, folder, number, aligned = REAL[case]
    assert prepare(name, Path(corpora) / folder, tmp_path / "out") == 0
    check(tmp_path / "out")
    data = DataDir(tmp_path / "out" / "all")
    assert (len(data), len(data.alignments)) == (number, aligned)
    assert set(data.alignments) <= set(DataDir(tmp_path / "out" / "test").utterances)
    assert np.abs(data.audio(data.utterances[0])).max() > 0.01


@pytest.mark.parametrize("case", REAL)
def test_kaldi_accepts_real_corpora(tmp_path, case):
    corpora = os.environ.get("SPEECHVQ_CORPORA")
    if not corpora:
        pytest.skip("SPEECHVQ_CORPORA is not set: no real speech at hand")
    prepare(REAL[case][0], Path(corpora) / REAL[case][1], tmp_path / "out")
    for directory in sorted(path.parent for path in (tmp_path / "out").rglob("wav.scp")):
        assert "Successfully validated" in kaldi_says(directory)


def test_kaldi_accepts_the_synthetic_corpus(synthetic):
    for name in ("all", "train", "dev", "test"):
        assert "Successfully validated" in kaldi_says(synthetic / name)


def test_mp3_and_ogg_of_a_folder_are_read(tmp_path):
    prepare("folder", own_recordings(tmp_path), tmp_path / "out")
    data = DataDir(tmp_path / "out" / "all")
    assert all(abs(len(data.audio(utt)) - 3200) < 1300 for utt in data.utterances)
    assert audio.info(tmp_path / "c" / "tom" / "z.flac").sample_rate == 16000


def test_the_docs_name_every_prepare_script():
    page = (RECIPES.parent / "docs" / "data-directories.md").read_text()
    assert [path.name for path in RECIPES.glob("prepare_*.py") if f"python recipes/{path.name} " not in page] == []
