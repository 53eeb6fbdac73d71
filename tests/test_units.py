"""Units, their directory, and what it costs to hold a million of them."""

import numpy as np
import pytest
import yaml

from speechvq.errors import UnitsError
from speechvq.units import Units, UnitsBatch, UnitsDir, UnitsWriter, id_dtype


def units(ids, codebook_size=8, hop_length=64, sample_rate=16000):
    return Units(np.array(ids, np.int64), codebook_size, hop_length, sample_rate)


def write(path, rows, codebook_size=8):
    with UnitsWriter(path, codebook_size, 64, 16000, model_hash="abc") as writer:
        for utt, ids in rows:
            writer.add(utt, np.array(ids, np.int64))
    return UnitsDir(path)


def batch(utts, rows, speakers=None):
    lengths = np.array([len(row) for row in rows], np.int64)
    ids = np.array([i for row in rows for i in row], np.int64)
    return UnitsBatch(utts, ids, lengths, lengths * 64, np.zeros(len(utts)), speakers or [""] * len(utts))


def test_run_lengths_by_hand():
    ids, lengths = units([3, 3, 1, 1, 1, 3]).run_lengths()
    assert (ids.tolist(), lengths.tolist()) == ([3, 1, 3], [2, 3, 1])
    ids, lengths = units([]).run_lengths()
    assert (ids.tolist(), lengths.tolist()) == ([], [])


def test_time_and_bitrate_by_hand():
    one = units([0, 0, 1, 1])
    assert (one.rate, one.duration, len(one)) == (250.0, 4 / 250, 4)
    assert one.bitrate() == pytest.approx(250.0)  # one bit a unit, 250 units a second
    assert one.bitrate(dedup=True) == pytest.approx(125.0)
    assert units([5, 5]).bitrate() == 0.0 and units([]).bitrate() == 0.0


@pytest.mark.parametrize("ids", [[[1, 2]], [0.5], [-1], [8]])
def test_what_units_cannot_be(ids):
    with pytest.raises(UnitsError):
        Units(np.array(ids), 8, 64, 16000)


def test_ids_are_stored_small():
    assert id_dtype(65536) == np.uint16 and id_dtype(65537) == np.uint32
    assert units([1]).ids.dtype == np.uint16


def test_a_directory_holds_what_was_added_sorted(tmp_path):
    with UnitsWriter(tmp_path / "u", 70000, 64, 16000, model_hash="abc") as writer:
        writer.add("b", np.array([69999, 2]), num_samples=100, gain_db=-2.5, speaker="s")
        writer.add("a", np.array([3]))
        writer.add("c", np.array([], np.int64))
    read = UnitsDir(tmp_path / "u")
    assert list(read) == ["a", "b", "c"] and len(read) == 3 and "b" in read and "d" not in read
    assert read["b"].ids.tolist() == [69999, 2] and read["a"].ids.tolist() == [3] and len(read["c"]) == 0
    entry = read.entry("b")
    assert (entry.num_samples, entry.gain_db, entry.speaker, entry.num_units) == (100, -2.5, "s", 2)
    assert read.entry("a").num_samples == 64
    assert (read.codebook_size, read.hop_length, read.sample_rate, read.model_hash) == (70000, 64, 16000, "abc")
    with pytest.raises(UnitsError, match="no utterance 'd'"):
        read["d"]
    assert np.load(tmp_path / "u" / "ids.npy").dtype == np.uint32
    assert (tmp_path / "u" / "index.tsv").read_text().splitlines()[1] == "a\t2\t1\t64\t0.0000\t"


def test_batches_are_the_utterances_whatever_their_order_on_disk(tmp_path):
    rng = np.random.default_rng(0)
    rows = {f"u{i:02d}": rng.integers(0, 8, rng.integers(0, 40)).tolist() for i in range(30)}
    shuffled = list(rows.items())
    rng.shuffle(shuffled)
    for name, order in (("sorted", rows.items()), ("shuffled", shuffled)):
        read = write(tmp_path / name, order)
        for size in (1, 50, 1 << 20):
            seen = [
                (utt, row.tolist())
                for some in read.batches(size)
                for utt, row in zip(some.utts, some.rows(), strict=True)
            ]
            assert seen == sorted(rows.items())
            assert all(len(some.ids) <= size or len(some) == 1 for some in read.batches(size))


def test_batches_added_equal_utterances_added(tmp_path):
    with UnitsWriter(tmp_path / "u", 8, 64, 16000) as writer:
        writer.add_batch(batch(["a", "b"], [[1, 2], []], ["s", "t"]))
        writer.add_batch(batch([], []))
        writer.add_batch(batch(["d", "c"], [[7], [5, 5]]))
    read = UnitsDir(tmp_path / "u")
    assert {utt: read[utt].ids.tolist() for utt in read} == {"a": [1, 2], "b": [], "c": [5, 5], "d": [7]}
    assert read.entry("b").speaker == "t"


@pytest.mark.parametrize("names", [["a", "a"], ["a", "b", "a"], ["b", "a", "b"], ["c", "a", "b", "a"]])
def test_a_name_is_given_once(tmp_path, names):
    with pytest.raises(UnitsError, match="two utterances are called"):
        write(tmp_path / "one", [(name, [1]) for name in names])
    with (
        pytest.raises(UnitsError, match="two utterances are called"),
        UnitsWriter(tmp_path / "u", 8, 64, 16000) as writer,
    ):
        writer.add_batch(batch(names, [[1]] * len(names)))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("utt", "speaker"), [("", ""), ("a b", ""), ("a", "s t"), ("a\tb", ""), ("a\n", "")])
def test_names_that_would_break_the_index_are_refused(tmp_path, utt, speaker):
    with UnitsWriter(tmp_path / "u", 8, 64, 16000) as writer:
        with pytest.raises(UnitsError, match="white space"):
            writer.add(utt, np.array([1]), speaker=speaker)
        writer.add("fine", np.array([1]))
    assert list(UnitsDir(tmp_path / "u")) == ["fine"]


def test_a_refused_utterance_leaves_no_trace(tmp_path):
    with UnitsWriter(tmp_path / "u", 8, 64, 16000) as writer:
        with pytest.raises(UnitsError, match="bad: unit 9"):
            writer.add_batch(batch(["a", "bad"], [[1], [2, 9]]))
        writer.add("a", np.array([4]))
        writer.add("bad", np.array([5]))
    read = UnitsDir(tmp_path / "u")
    assert [read[utt].ids.tolist() for utt in read] == [[4], [5]]


def test_a_crash_leaves_the_directory_as_it_was(tmp_path):
    write(tmp_path / "u", [("a", [1])])
    with pytest.raises(KeyboardInterrupt), UnitsWriter(tmp_path / "u", 8, 64, 16000) as writer:
        writer.add("b", np.array([2]))
        raise KeyboardInterrupt
    assert list(UnitsDir(tmp_path / "u")) == ["a"] and [p.name for p in tmp_path.iterdir()] == ["u"]


def test_an_empty_directory_opens(tmp_path):
    read = write(tmp_path / "u", [])
    assert list(read) == [] and list(read.batches()) == []


def spoil_yaml(path, **changes):
    meta = yaml.safe_load((path / "units.yaml").read_text()) | changes
    (path / "units.yaml").write_text(yaml.safe_dump({k: v for k, v in meta.items() if v is not None}))


SPOILT = {
    "not a units directory": lambda d: (d / "units.yaml").unlink(),
    "is not YAML": lambda d: (d / "units.yaml").write_text("{"),
    "units.yaml is not YAML": lambda d: (d / "units.yaml").write_bytes(b"\xff\xfe\x00"),
    "lacks codebook_size": lambda d: spoil_yaml(d, codebook_size="x"),
    "lacks hop_length": lambda d: spoil_yaml(d, hop_length=None),
    "has units format 2": lambda d: spoil_yaml(d, format=2),
    "index.tsv is missing": lambda d: (d / "index.tsv").unlink(),
    "ids.npy is missing": lambda d: (d / "ids.npy").unlink(),
    "is not an array of ids": lambda d: (d / "ids.npy").write_bytes(b"no array"),
    "holds float64": lambda d: np.save(d / "ids.npy", np.zeros(3)),
    "speaks of 3 ids but ids.npy holds 2": lambda d: np.save(d / "ids.npy", np.zeros(2, np.uint16)),
    "must begin with the columns": lambda d: (d / "index.tsv").write_text("a\t0\t1\t64\t0\t\n"),
    "line 3 does not have the columns": lambda d: (d / "index.tsv").write_text(
        (d / "index.tsv").read_text().replace("b\t2\t1", "b\t2\tone")
    ),
    "not sorted": lambda d: (d / "index.tsv").write_text((d / "index.tsv").read_text().replace("\nb\t", "\nZ\t")),
}


@pytest.mark.parametrize("message", SPOILT)
def test_spoilt_directories_say_what_is_wrong(tmp_path, message):
    write(tmp_path / "u", [("a", [1, 2]), ("b", [3])])
    SPOILT[message](tmp_path / "u")
    with pytest.raises(UnitsError, match=message):
        UnitsDir(tmp_path / "u")


def test_no_pickle_is_opened(tmp_path):
    write(tmp_path / "u", [("a", [1])])
    np.save(tmp_path / "u" / "ids.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(UnitsError, match="is not an array of ids"):
        UnitsDir(tmp_path / "u")


def test_ids_beyond_the_codebook_on_disk_are_noticed(tmp_path):
    read = write(tmp_path / "u", [("a", [1, 2])])
    np.save(tmp_path / "u" / "ids.npy", np.array([1, 99], np.uint16))
    read = UnitsDir(tmp_path / "u")
    with pytest.raises(UnitsError, match="99"):
        list(read.batches())
    with pytest.raises(UnitsError, match="99"):
        read["a"]
