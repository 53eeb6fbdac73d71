"""Every format: what is written comes back, in one piece and in many, and broken files are one clear error."""

import json

import numpy as np
import pytest
from unit_samples import HOP, RATE, K, contents, random_rows, write_units

from speechvq.errors import FormatError, InputError
from speechvq.formats import FORMATS, keeps_runs, load_format
from speechvq.formats.transfer import export_units, import_units
from speechvq.units import UnitsDir


def there_and_back(units, tmp_path, name, dedup=False, sidecar=True):
    out = tmp_path / f"{name}-{dedup}"
    export_units(units, name, out, dedup=dedup)
    if not sidecar:
        (out / "speechvq.json").unlink()
        import_units(out, name, tmp_path / "back", K, HOP, RATE)
    else:
        import_units(out, name, tmp_path / "back")
    return UnitsDir(tmp_path / "back")


@pytest.mark.parametrize("name", FORMATS)
def test_everything_comes_back(units, tmp_path, name):
    back = there_and_back(units, tmp_path, name)
    assert [(e.utt, e.num_units, e.num_samples, e.gain_db, e.speaker, ids) for e, ids in contents(back)] == [
        (e.utt, e.num_units, e.num_samples, e.gain_db, e.speaker, ids) for e, ids in contents(units)
    ]
    assert (back.codebook_size, back.hop_length, back.sample_rate, back.model_hash) == (K, HOP, RATE, "abc")


@pytest.mark.parametrize("name", FORMATS)
def test_deduplicated_units_come_back_as_runs_or_whole_where_durations_are_kept(units, tmp_path, name):
    back = there_and_back(units, tmp_path, name, dedup=True)
    keeps = keeps_runs(name)
    for utt in units:
        expected = units[utt].ids if keeps else units[utt].run_lengths()[0]
        assert back[utt].ids.tolist() == expected.tolist()
        samples = units.entry(utt).num_samples if keeps else len(expected) * HOP
        assert back.entry(utt).num_samples == samples


@pytest.mark.parametrize("name", FORMATS)
def test_files_without_a_sidecar_need_the_constants(units, tmp_path, name):
    back = there_and_back(units, tmp_path, name, sidecar=False)
    assert [ids for _, ids in contents(back)] == [ids for _, ids in contents(units)]
    with pytest.raises(FormatError, match="--codebook-size --sample-rate must be given"):
        import_units(tmp_path / f"{name}-False", name, tmp_path / "other", hop_length=HOP)


@pytest.mark.parametrize("name", FORMATS)
def test_many_batches_equal_one(units, tmp_path, name, monkeypatch):
    export_units(units, name, tmp_path / "same")
    whole = {p.relative_to(tmp_path / "same"): p.read_bytes() for p in (tmp_path / "same").rglob("*") if p.is_file()}
    batches = units.batches
    monkeypatch.setattr(units, "batches", lambda: batches(max_units=200))
    assert sum(1 for _ in units.batches()) > 5
    for module in ("text", "ctm"):
        monkeypatch.setattr(f"speechvq.formats.{module}.BLOCK_BYTES", 700)
    monkeypatch.setattr("speechvq.formats.kaldi_ark._READ_BYTES", 300)
    for module in ("npz", "lhotse"):
        monkeypatch.setattr(f"speechvq.formats.{module}._ROWS", 7)
    export_units(units, name, tmp_path / "same")
    if name != "hf":  # row groups differ
        for path, data in whole.items():
            assert (tmp_path / "same" / path).read_bytes() == data, path
    import_units(tmp_path / "same", name, tmp_path / "back")
    assert [ids for _, ids in contents(UnitsDir(tmp_path / "back"))] == [ids for _, ids in contents(units)]


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"espnet", "zerospeech2019"}))
def test_large_codebooks(tmp_path, name):
    rows = [("a", [0, 0, 69999, 12345], 250, 0.0, ""), ("b", [65536], 64, 0.0, "")]
    units = write_units(tmp_path / "units", rows, codebook_size=70000)
    export_units(units, name, tmp_path / "out")
    import_units(tmp_path / "out", name, tmp_path / "back")
    assert [ids for _, ids in contents(UnitsDir(tmp_path / "back"))] == [[0, 0, 69999, 12345], [65536]]


@pytest.mark.parametrize("name", ["espnet", "zerospeech2019"])
def test_codebooks_too_large_are_refused_and_nothing_is_left(tmp_path, name):
    units = write_units(tmp_path / "units", [("a", [0], 64, 0.0, "")], codebook_size=20900)
    with pytest.raises(FormatError, match="20900"):
        export_units(units, name, tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["units"]


@pytest.mark.parametrize("name", FORMATS)
def test_times_of_odd_rates_are_exact(tmp_path, name):
    rows = list(random_rows(seed=3, count=3, hop_length=147))
    rows.append(("z-long", np.arange(50_000) // 3 % K, 50_000 * 147, 0.0, "z"))
    units = write_units(tmp_path / "units", rows, hop_length=147, sample_rate=22050)
    export_units(units, name, tmp_path / "out")
    import_units(tmp_path / "out", name, tmp_path / "back")
    assert [ids for _, ids in contents(UnitsDir(tmp_path / "back"))] == [ids for _, ids in contents(units)]


@pytest.mark.parametrize("name", FORMATS)
def test_names_beyond_ascii(tmp_path, name):
    units = write_units(tmp_path / "units", [("ß-'ü\"1", [1, 2], 128, 0.0, "ß"), ("乇-x.y", [3], 64, 0.5, "乇")])
    export_units(units, name, tmp_path / "out")
    import_units(tmp_path / "out", name, tmp_path / "back")
    assert contents(UnitsDir(tmp_path / "back")) == contents(units)


@pytest.mark.parametrize("name", FORMATS)
def test_an_empty_folder_is_one_clear_error(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(FormatError):
        import_units(tmp_path / "empty", name, tmp_path / "back", K, HOP, RATE)
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"zerospeech2019"}))
def test_a_unit_outside_the_codebook_is_named(units, tmp_path, name):
    export_units(units, name, tmp_path / "out")
    (tmp_path / "out" / "speechvq.json").unlink()
    with pytest.raises(InputError, match=f"outside a codebook of {K - 30}"):
        import_units(tmp_path / "out", name, tmp_path / "back", K - 30, HOP, RATE)
    assert not (tmp_path / "back").exists()


def test_the_sidecar_is_plain_json_with_the_constants_and_durations(units, tmp_path):
    export_units(units, "kaldi-text", tmp_path / "out", dedup=True)
    data = json.loads((tmp_path / "out" / "speechvq.json").read_text())
    assert (data["codebook_size"], data["hop_length"], data["sample_rate"], data["unit_rate"]) == (K, HOP, RATE, 250.0)
    assert data["dedup"] is True and data["format"] == "kaldi-text"
    assert data["utterances"]["p226-015"] == [units.entry("p226-015").num_samples, -1.875, "p226"]


def test_rows_in_another_order_or_left_out_still_find_what_is_known(units, tmp_path):
    export_units(units, "kaldi-text", tmp_path / "out")
    path = tmp_path / "out" / "units.txt"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[20:] + lines[:10]))
    import_units(tmp_path / "out", "kaldi-text", tmp_path / "back")
    kept = set(list(units)[20:] + list(units)[:10])
    expected = [(e, ids) for e, ids in contents(units) if e.utt in kept]
    got = contents(UnitsDir(tmp_path / "back"))
    assert [(e.utt, e.num_samples, e.gain_db, e.speaker, ids) for e, ids in got] == [
        (e.utt, e.num_samples, e.gain_db, e.speaker, ids) for e, ids in expected
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace('"p226-015"', '"other"'), "does not know 'p226-015'"),
        (lambda text: text.replace('"speechvq": 1', '"speechvq": 2'), "has format 2.*update speechvq"),
        (lambda text: text.replace('"hop_length"', '"hop"'), "not as speechvq writes it"),
        (lambda text: text.replace('"hop_length": 64', '"hop_length": "64"'), "hop_length must be"),
        (lambda text: json.dumps(json.loads(text)), "one a line"),
        (lambda text: text[: len(text) // 2], "not as speechvq writes it|does not know"),
    ],
)
def test_a_spoilt_sidecar_says_so(units, tmp_path, change, message):
    export_units(units, "kaldi-text", tmp_path / "out")
    path = tmp_path / "out" / "speechvq.json"
    path.write_text(change(path.read_text()))
    with pytest.raises(FormatError, match=message):
        import_units(tmp_path / "out", "kaldi-text", tmp_path / "back")


def test_an_utterance_twice_is_refused(units, tmp_path):
    export_units(units, "kaldi-text", tmp_path / "out")
    path = tmp_path / "out" / "units.txt"
    path.write_text(path.read_text() + path.read_text().splitlines()[3] + "\n")
    with pytest.raises(FormatError, match="p225-003.*not twice"):
        import_units(tmp_path / "out", "kaldi-text", tmp_path / "back")


def test_numbers_too_large_to_be_units_are_refused(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "units.txt").write_text("a 1\nb 18446744073709551617\n")
    with pytest.raises(FormatError, match="line 2"):
        import_units(tmp_path / "in", "kaldi-text", tmp_path / "back", K, HOP, RATE)


def test_durations_of_other_utterances_are_refused(units, tmp_path):
    export_units(units, "textless", tmp_path / "out", dedup=True)
    path = tmp_path / "out" / "transcript.durations"
    path.write_text(path.read_text().replace("p226-015\t", "p226-015\t1 "))
    with pytest.raises(FormatError, match="durations of 'p226-015'"):
        import_units(tmp_path / "out", "textless", tmp_path / "back")


def test_constants_that_contradict_the_sidecar_are_refused(units, tmp_path):
    export_units(units, "npz", tmp_path / "out")
    with pytest.raises(FormatError, match="says hop_length 64, not 65"):
        import_units(tmp_path / "out", "npz", tmp_path / "back", hop_length=65)


def test_a_folder_of_something_else_is_not_overwritten(units, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="holds other things"):
        export_units(units, "npz", tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "years of work"


def test_an_export_that_fails_leaves_the_earlier_one(units, tmp_path):
    export_units(units, "gslm", tmp_path / "out")
    before = (tmp_path / "out" / "quantized.txt").read_bytes()
    odd = write_units(tmp_path / "odd", [("a|b", [1], 64, 0.0, "")])
    with pytest.raises(FormatError, match="rename it"):
        export_units(odd, "gslm", tmp_path / "out")
    assert (tmp_path / "out" / "quantized.txt").read_bytes() == before


BROKEN = {
    "kaldi-text": ("units.txt", "a 1 2\nb 3 x 4\n", "line 2.*found 'b 3 x 4'"),
    "zerospeech2021": ("quantized_outputs.txt", "a\t1,2\nb 3,4\n", "line 2"),
    "gslm": ("quantized.txt", "a|1 -2\n", "line 1"),
    "textless": ("transcript.units", "a\t1 2.5\n", "line 1"),
    "slamkit": ("features.jsonl", '{"units": [1, 2], "duration": [1], "file_name": "a.wav"}\n', "line 1"),
    "speech-resynthesis": ("manifest.txt", "__import__('os').system('true')\n", "line 1"),
    "ctm": ("units.ctm", "a 1 0.000 0.004 1\na 1 0.008 0.004 2\n", "line 2.*does not begin"),
    "espnet": ("text.ts.x", "a 一A\n", "line 1"),
    "zerospeech2019": ("a.txt", "0 1\n0 x\n", "found '0 x'"),
    "textgrid": ("a.TextGrid", "no grid", "TextGrid"),
    "npz": ("units.npz", "no zip", "lacks arrays"),
    "hf": ("a.parquet", "no parquet", "no columns"),
    "kaldi-ark": ("units.ark", "a \0B\x04\x02\0\0\0\x04\x01\0", "cut short"),
    "lhotse": ("cuts.jsonl", '{"id": "a"}\n', "line 1"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_name_the_place(tmp_path, name):
    file, text, message = BROKEN[name]
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / file).write_text(text)
    with pytest.raises(InputError, match=message):
        import_units(tmp_path / "in", name, tmp_path / "back", K, HOP, RATE)
    assert not (tmp_path / "back").exists()


def test_every_format_states_its_consumer_and_an_example():
    for module in map(load_format, FORMATS):
        assert module.CONSUMER and module.EXAMPLE and module.__doc__


@pytest.mark.parametrize(
    "values", ['["x", 0.0, "s"]', '[1, "y", "s"]', '[1, 0.0, 5]', '[-5, 0.0, "s"]', '[1, NaN, "s"]', '[99999999999999999999, 0.0, "s"]', "[" * 99999 + "]" * 99999]
)
def test_a_hostile_sidecar_is_one_line(units, tmp_path, values):
    export_units(units, "kaldi-text", tmp_path / "out")
    path = tmp_path / "out" / "speechvq.json"
    head, first, rest = path.read_text().partition('"utterances": {\n')
    line, _, others = rest.partition("\n")
    path.write_text(head + first + line.partition(": ")[0] + ": " + values + ",\n" + others)
    with pytest.raises(FormatError, match="not as speechvq writes it"):
        import_units(tmp_path / "out", "kaldi-text", tmp_path / "back")


@pytest.mark.parametrize(
    ("name", "file", "data"),
    [
        ("speech-resynthesis", "manifest.txt", b"{'audio': '\xff.wav', 'vqvae256': '1 2', 'duration': 1}\n"),
        ("kaldi-ark", "units.ark", b"\xff\xd8 and no archive"),
        ("ctm", "units.ctm", b"\xff 1 0.000 0.004 1\nb 1 0.000 0.004 1\n"),
    ],
)
def test_a_name_that_is_no_text_is_one_line(tmp_path, name, file, data):
    (tmp_path / file).write_bytes(data)
    with pytest.raises(FormatError, match=f"{file}.*UTF-8"):
        import_units(tmp_path, name, tmp_path / "back", codebook_size=16, hop_length=64, sample_rate=16000)


def test_rows_and_speakers_that_are_numbered_are_read(tmp_path):
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pa.table({"id": [10, 11], "speaker_id": [0, None], "units": [[1, 2], [3]]}), tmp_path / "a.parquet")
    import_units(tmp_path, "hf", tmp_path / "back", K, HOP, RATE)
    assert [(e.utt, e.speaker, ids) for e, ids in contents(UnitsDir(tmp_path / "back"))] == [("10", "0", [1, 2]), ("11", "", [3])]
