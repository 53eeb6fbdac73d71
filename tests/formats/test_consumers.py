"""Each format as its consumer loads it: by the consumer's own library, or by its documented rules."""

import ast
import json
import logging
import re

import numpy as np
import pytest
import soundfile
from unit_samples import HOP, RATE, K, write_units

from speechvq.alignment import Alignment, Interval
from speechvq.corpus import DataDir, Utterance, write_data_dir
from speechvq.errors import FormatError
from speechvq.formats.transfer import export_units, import_units
from speechvq.units import UnitsDir

ROWS = {
    "p1-a": ([7, 7, 7, 1, 1, 39], 6 * HOP - 10, "p1", "ONE TWO"),
    "p1-b": ([0], HOP, "p1", "THREE"),
    "p2-a": ([5, 5, 6, 6, 5, 5, 38, 38], 8 * HOP, "p2", "FOUR FIVE"),
}


@pytest.fixture
def units(tmp_path):
    return write_units(tmp_path / "units", [(utt, ids, n, -1.5, spk) for utt, (ids, n, spk, _) in ROWS.items()])


@pytest.fixture
def corpus(tmp_path):
    utterances = []
    for utt, (_, num_samples, speaker, text) in ROWS.items():
        # The stem is not the utterance's name, as in most corpora.
        path = tmp_path / "wav" / speaker / f"{utt[-1]}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.full(num_samples, 0.25), RATE)
        phones = Alignment((Interval(0.0, 0.002, "AH"), Interval(0.002, num_samples / RATE, "T")))
        utterances.append(Utterance(utt, speaker, path, text, alignment=phones))
    write_data_dir(tmp_path / "data", utterances)
    return DataDir(tmp_path / "data")


def exported(units, tmp_path, name, **options):
    export_units(units, name, tmp_path / "out", **options)
    return tmp_path / "out"


def rows(path):
    return path.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("name", ["fairseq", "slamkit", "speech-resynthesis", "lhotse", "kaldi-ark", "hf"])
def test_utterances_named_by_their_recordings_come_back_under_their_own_names(units, corpus, tmp_path, name):
    import_units(exported(units, tmp_path, name, corpus=corpus), name, tmp_path / "back")
    back = UnitsDir(tmp_path / "back")
    assert {utt: back[utt].ids.tolist() for utt in back} == {utt: row[0] for utt, row in ROWS.items()}


def test_units_of_another_corpus_are_refused(corpus, tmp_path):
    units = write_units(tmp_path / "units", [("stranger", [1], 64, 0.0, "")])
    with pytest.raises(FormatError, match="no utterance 'stranger'"):
        export_units(units, "npz", tmp_path / "out", corpus=corpus)


def test_kaldi_reads_both_forms(units, corpus, tmp_path):
    kaldi = pytest.importorskip("kaldi_native_io")
    expected = {utt: row[0] for utt, row in ROWS.items()}
    out = exported(units, tmp_path, "kaldi-text", corpus=corpus)
    with kaldi.SequentialInt32VectorReader(f"ark,t:{out}/units.txt") as reader:
        assert {key: list(value) for key, value in reader} == expected
    again = DataDir(out)  # refuses what Kaldi's validator refuses
    assert again.text["p2-a"] == "FOUR FIVE" and again.utt2spk["p1-b"] == "p1"
    assert again.audio("p1-b").shape == (HOP,)
    out = exported(units, tmp_path, "kaldi-ark", corpus=corpus)
    with kaldi.SequentialInt32VectorReader(f"scp:{out}/units.scp") as reader:
        assert {key: list(value) for key, value in reader} == expected
    with kaldi.RandomAccessInt32VectorReader(f"scp:{out}/units.scp") as reader:
        assert list(reader["p2-a"]) == expected["p2-a"]
    again = DataDir(out)
    assert rows(out / "spk2utt") == ["p1 p1-a p1-b", "p2 p2-a"]


def test_archives_that_kaldi_writes_are_read(tmp_path):
    kaldi = pytest.importorskip("kaldi_native_io")
    (tmp_path / "in").mkdir()
    with kaldi.Int32VectorWriter(f"ark:{tmp_path}/in/units.ark") as writer:
        writer.write("b", [3, 1, 4])
        writer.write("a", [1, 5])
    import_units(tmp_path / "in", "kaldi-ark", tmp_path / "back", K, HOP, RATE)
    back = UnitsDir(tmp_path / "back")
    assert [(utt, back[utt].ids.tolist()) for utt in back] == [("a", [1, 5]), ("b", [3, 1, 4])]


def test_speakers_that_kaldi_would_refuse_are_not_written(tmp_path):
    units = write_units(tmp_path / "units", [("a-1", [1], 64, 0.0, "zoe"), ("b-1", [1], 64, 0.0, "")])
    out = exported(units, tmp_path, "kaldi-text")
    assert rows(out / "utt2spk") == ["a-1 a-1", "b-1 b-1"]
    assert not (out / "text").exists() and not (out / "wav.scp").exists()


def test_lhotse_loads_truncates_and_pads(units, corpus, tmp_path):
    lhotse = pytest.importorskip("lhotse")
    out = exported(units, tmp_path, "lhotse", corpus=corpus)
    cuts = lhotse.CutSet.from_file(out / "cuts.jsonl.gz").to_eager()
    lhotse.validate(cuts)
    assert {cut.id: cut.load_units().tolist() for cut in cuts} == {utt: row[0] for utt, row in ROWS.items()}
    cut = cuts["p2-a"]
    assert cut.load_units().dtype == np.int32  # torch embeds no uint16
    assert cut.load_audio().shape == (1, 8 * HOP)
    assert cut.supervisions[0].text == "FOUR FIVE" and cut.supervisions[0].speaker == "p2"
    assert cut.truncate(duration=cut.duration / 2).load_units().tolist() == [5, 5, 6, 6]
    assert cut.truncate(offset=3 * HOP / RATE, duration=2 * HOP / RATE).load_units().tolist() == [6, 5]
    padded = cut.pad(duration=10 * HOP / RATE, pad_value_dict={"units": K})
    assert padded.load_units().tolist() == [5, 5, 6, 6, 5, 5, 38, 38, K, K]


def test_lhotse_loads_without_recordings_and_deduplicated(units, tmp_path):
    lhotse = pytest.importorskip("lhotse")
    cuts = lhotse.CutSet.from_file(exported(units, tmp_path, "lhotse") / "cuts.jsonl.gz").to_eager()
    assert cuts["p1-a"].truncate(duration=cuts["p1-a"].duration / 2).load_units().tolist() == [7, 7, 7]
    cuts = lhotse.CutSet.from_file(exported(units, tmp_path, "lhotse", dedup=True) / "cuts.jsonl.gz").to_eager()
    assert cuts["p1-a"].units == [7, 1, 39] and cuts["p1-a"].unit_durations == [3, 2, 1]


def test_lhotse_refuses_what_a_cut_cannot_be(tmp_path):
    units = write_units(tmp_path / "units", [("a", [], 0, 0.0, "")])
    with pytest.raises(FormatError, match="'a' has no units"):
        export_units(units, "lhotse", tmp_path / "out")


def test_espnet_reads_its_text_and_tokens(units, corpus, tmp_path):
    out = exported(units, tmp_path, "espnet", corpus=corpus)
    glyphs = dict(line.split() for line in rows(out / "distinct_cjk_token_lists"))
    assert list(glyphs) == [str(unit) for unit in range(K)] and glyphs["39"] == chr(0x4E00 + 39)
    for utt, (ids, *_) in ROWS.items():
        # What the awk of asr2.sh, stage 4b, makes of the pseudo-labels.
        whole = "".join(glyphs[str(unit)] for unit in ids)
        collapsed = "".join(glyphs[str(u)] for k, u in enumerate(ids) if k == 0 or u != ids[k - 1])
        assert f"{utt} {whole}" in rows(out / f"text.ts.vqvae_km{K}")
        assert f"{utt} {collapsed}" in rows(out / f"text.rm.vqvae_km{K}")
        assert f"{utt} {' '.join(map(str, ids))}" in rows(out / f"pseudo_labels_km{K}.txt")
    assert rows(out / "text") == [f"{utt} {row[3]}" for utt, row in ROWS.items()]


def test_espnet_packages_read_it(units, tmp_path):
    read_text = pytest.importorskip("espnet2.fileio.read_text")
    tokenizer = pytest.importorskip("espnet2.text.char_tokenizer").CharTokenizer()
    converter = pytest.importorskip("espnet2.text.token_id_converter").TokenIDConverter
    out = exported(units, tmp_path, "espnet")
    tokens = [line.split()[1] for line in rows(out / "distinct_cjk_token_lists")]
    ids = converter(["<blank>", "<unk>", *tokens, "<sos/eos>"])
    text = read_text.read_2columns_text(out / f"text.ts.vqvae_km{K}")
    assert {utt: [i - 2 for i in ids.tokens2ids(tokenizer.text2tokens(text[utt]))] for utt in text} == {
        utt: row[0] for utt, row in ROWS.items()
    }


@pytest.mark.parametrize("name", ["text.ts.x", "text.rm.x"])
def test_espnet_text_alone_is_read(tmp_path, name):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_text("b 一丁丁\na 七\n", encoding="utf-8")
    import_units(tmp_path / "in", "espnet", tmp_path / "back", K, HOP, RATE)
    back = UnitsDir(tmp_path / "back")
    assert [(utt, back[utt].ids.tolist()) for utt in back] == [("a", [3]), ("b", [0, 1, 1])]


def test_fairseq_rules_of_manifest_and_labels(units, corpus, tmp_path):
    out = exported(units, tmp_path, "fairseq", corpus=corpus)
    root, *recordings = rows(out / "train.tsv")
    labels = rows(out / "train.km")
    assert len(labels) == len(recordings) == 3
    symbols = [line.rsplit(" ", 1) for line in rows(out / "dict.km.txt")]
    assert [symbol for symbol, _ in symbols] == [str(unit) for unit in range(K)]
    assert all(int(count) > 0 for _, count in symbols)
    rate = json.loads((out / "speechvq.json").read_text())["unit_rate"]
    for line, label, (ids, num_samples, _, _) in zip(recordings, labels, ROWS.values(), strict=True):
        path, size = line.split("\t")
        assert soundfile.info(f"{root}/{path}").frames == int(size) == num_samples
        assert [int(unit) for unit in label.split()] == ids
        assert abs(int(size) / RATE - len(ids) / rate) <= 0.1


def test_fairseq_lines_must_match(units, tmp_path):
    out = exported(units, tmp_path, "fairseq")
    (out / "train.km").write_text("1 2\n3\n")
    with pytest.raises(FormatError, match="fewer lines"):
        import_units(out, "fairseq", tmp_path / "back")
    (out / "train.km").write_text("1 2\n3\n4\n5\n")
    with pytest.raises(FormatError, match="more lines"):
        import_units(out, "fairseq", tmp_path / "back")


def test_gslm_and_pgslm_readers(units, corpus, tmp_path):
    out = exported(units, tmp_path, "gslm", corpus=corpus)
    named = dict(line.split("|") for line in rows(out / "quantized.txt"))
    assert {utt: list(map(int, text.split(" "))) for utt, text in named.items()} == {u: r[0] for u, r in ROWS.items()}
    assert rows(out / "train.txt") == list(named.values())
    for line, (ids, num_samples, speaker, _) in zip(rows(out / "manifest.jsonl"), ROWS.values(), strict=True):
        sample = ast.literal_eval(line)
        assert [int(x) for x in sample["hubert_km100"].split()] == ids and sample["speaker"] == speaker
        assert sample["duration"] == pytest.approx(num_samples / RATE, rel=1e-5)
        assert soundfile.info(sample["audio"]).frames == num_samples


def test_textless_streams(units, tmp_path):
    out = exported(units, tmp_path, "textless", dedup=True)
    assert rows(out / "transcript.units")[0] == "p1-a\t7 1 39"
    assert rows(out / "transcript.durations")[0] == "p1-a\t3 2 1"
    out = exported(units, tmp_path, "textless")
    assert rows(out / "transcript.units")[0] == "p1-a\t7 7 7 1 1 39"
    assert not (out / "transcript.durations").exists()


def test_speech_resynthesis_parser(units, corpus, tmp_path):
    out = exported(units, tmp_path, "speech-resynthesis", corpus=corpus)
    for line, (ids, num_samples, *_) in zip(rows(out / "manifest.txt"), ROWS.values(), strict=True):
        assert line[0] == "{"
        sample = ast.literal_eval(line)
        assert [int(x) for x in sample["vqvae256"].split(" ")] == ids
        assert soundfile.info(sample["audio"]).frames == num_samples


@pytest.mark.parametrize("key", ["vqvae256", "hubert", "cpc_km100", "codes"])
def test_speech_resynthesis_keys_of_others(tmp_path, key):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "val.txt").write_text(f"{{'audio': 'wav/a.wav', '{key}': '1 2 2', 'duration': 0.1}}\n")
    import_units(tmp_path / "in", "speech-resynthesis", tmp_path / "back", K, HOP, RATE)
    assert UnitsDir(tmp_path / "back")["a"].ids.tolist() == [1, 2, 2]


def test_slamkit_features_and_tokens(units, tmp_path):
    out = exported(units, tmp_path, "slamkit", dedup=True)
    features = [json.loads(line) for line in rows(out / "features.jsonl")]
    assert features[0] == {"units": [7, 1, 39], "duration": [3, 2, 1], "file_name": "p1/p1-a.wav"}
    for entry, tokens in zip(features, map(json.loads, rows(out / "tokens.jsonl")), strict=True):
        assert tokens["file_name"] == entry["file_name"]
        assert tokens["audio_repr"] == "".join(f"<Un{u}>" for u in entry["units"])
        assert re.fullmatch(r"(<Un\d+>)+", tokens["audio_repr"])


@pytest.mark.parametrize("dedup", [False, True])
def test_datasets_loads_the_parquet_offline(units, corpus, tmp_path, monkeypatch, dedup):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    out = exported(units, tmp_path, "hf", dedup=dedup, corpus=corpus)
    for data in (
        datasets.load_dataset(str(out), cache_dir=tmp_path / "cache")["train"],
        datasets.load_dataset("parquet", data_files=str(out / "data" / "*.parquet"), cache_dir=tmp_path / "cache")[
            "train"
        ],
    ):
        assert data["id"][:] == list(ROWS)
        for row in data:
            ids, num_samples, speaker, text = ROWS[row["id"]]
            assert np.repeat(row["units"], row["durations"]).tolist() == ids
            assert (row["speaker_id"], row["text"], row["num_samples"]) == (speaker, text, num_samples)
            assert soundfile.info(row["audio"]["path"]).frames == num_samples
        assert data.features["units"].feature.dtype == "int16"


def test_praat_grids_load_in_praatio(units, corpus, tmp_path):
    textgrid = pytest.importorskip("praatio.textgrid")
    out = exported(units, tmp_path, "textgrid", corpus=corpus)
    grid = textgrid.openTextgrid(str(out / "p1-a.TextGrid"), includeEmptyIntervals=False)
    assert grid.tierNames == ("units", "phones")
    entries = grid.getTier("units").entries
    assert [(round(e.start, 6), round(e.end, 6), e.label) for e in entries] == [
        (0.0, 0.012, "7"),
        (0.012, 0.02, "1"),
        (0.02, 0.024, "39"),
    ]
    assert [e.label for e in grid.getTier("phones").entries] == ["AH", "T"]


def test_ctm_columns(units, tmp_path):
    assert rows(exported(units, tmp_path, "ctm") / "units.ctm")[:4] == [
        "p1-a 1 0.000000 0.012000 7",
        "p1-a 1 0.012000 0.008000 1",
        "p1-a 1 0.020000 0.004000 39",
        "p1-b 1 0.000000 0.004000 0",
    ]


def test_ctm_of_others_with_fewer_decimals_and_confidence(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "their.ctm").write_text("a A 0.00 0.04 3 0.99\na A .04  0.02 1 1\nb A 0 0.02 2 1")
    import_units(tmp_path / "in", "ctm", tmp_path / "back", K, 320, RATE)
    back = UnitsDir(tmp_path / "back")
    assert [(utt, back[utt].ids.tolist()) for utt in back] == [("a", [3, 3, 1]), ("b", [2])]


def test_zerospeech_2019_bitrate_from_the_files(units, tmp_path):
    out = exported(units, tmp_path, "zerospeech2019")
    lines = [line for utt in ROWS for line in rows(out / f"{utt}.txt")]
    vectors = np.loadtxt(out / "p2-a.txt")
    assert vectors.shape == (8, K) and vectors.argmax(1).tolist() == ROWS["p2-a"][0]
    counts = np.array([lines.count(line) for line in set(lines)])
    p = counts / counts.sum()
    ids = np.concatenate([row[0] for row in ROWS.values()])
    expected = np.bincount(ids)[np.bincount(ids) > 0] / len(ids)
    assert -(p * np.log2(p)).sum() == pytest.approx(-(expected * np.log2(expected)).sum())


def test_zerospeech_2019_vectors_of_others_are_numbered(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("0.5 -1e-3\n0.5 -1e-3\n0.25 2\n")
    (tmp_path / "in" / "b.txt").write_text("0.25 2\n7 7")
    import_units(tmp_path / "in", "zerospeech2019", tmp_path / "back", K, HOP, RATE)
    back = UnitsDir(tmp_path / "back")
    assert [(utt, back[utt].ids.tolist()) for utt in back] == [("a", [0, 0, 1]), ("b", [1, 2])]


def test_zerospeech_2021_lines(units, tmp_path):
    first = rows(exported(units, tmp_path, "zerospeech2021") / "quantized_outputs.txt")[0]
    name, described = first.split()
    assert (name, described) == ("p1-a", "7,7,7,1,1,39")


def test_numpy_loads_without_pickle(units, tmp_path):
    with np.load(exported(units, tmp_path, "npz") / "units.npz", allow_pickle=False) as data:
        assert data["utts"].astype(str).tolist() == list(ROWS)
        for k, (ids, num_samples, speaker, _) in enumerate(ROWS.values()):
            assert data["ids"][data["offsets"][k] : data["offsets"][k + 1]].tolist() == ids
            assert (data["num_samples"][k], data["speakers"][k].decode()) == (num_samples, speaker)


def test_arrays_that_numpy_saves_are_read(tmp_path):
    (tmp_path / "in").mkdir()
    np.savez(tmp_path / "in" / "units.npz", utts=np.array(["a", "b"]), ids=np.array([1, 2, 3]), offsets=[0, 1, 3])
    import_units(tmp_path / "in", "npz", tmp_path / "back", K, HOP, RATE)
    assert UnitsDir(tmp_path / "back")["b"].ids.tolist() == [2, 3]


def test_fairseq_own_checks_accept_it(units, corpus, tmp_path, caplog):
    hubert = pytest.importorskip("fairseq.data.audio.hubert_dataset")
    out = exported(units, tmp_path, "fairseq", corpus=corpus)
    _, names, indices, total, sizes = hubert.load_audio(out / "train.tsv", None, None)
    assert len(names) == len(hubert.load_label(out / "train.km", indices, total)) == 3
    with caplog.at_level(logging.WARNING):
        hubert.verify_label_lengths(sizes, RATE, out / "train.km", 250.0, indices, total)
    assert not caplog.records
