"""Phone times: frames by hand, folding, and every file format there and back."""

import pytest

from speechvq.alignment import (
    NOISE,
    PHONES,
    SILENCE,
    Alignment,
    fold_phone,
    read_alignment,
    read_ctm,
    read_labels,
    read_textgrid,
    write_ctm,
    write_textgrid,
)
from speechvq.errors import AlignmentError

SHORT_TEXTGRID = """File type = "ooTextFile"
Object class = "TextGrid"

0
1.5
<exists>
3
"IntervalTier"
"words"
0
1.5
2
0
0.5
""
0.5
1.5
"he said ""hi"" 3 [1]"
"TextTier"
"clicks"
0
1.5
1
0.7
"click"
"IntervalTier"
"mary - phones"
0
1.5
3
0
0.5
"sil"
0.5
1.25
"HH"
1.25
1.5
"AY1"
"""

LONG_TEXTGRID = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 1.5
tiers? <exists>
size = 1
item []:
    item [1]:
        class = "IntervalTier"
        name = "phones"
        xmin = 0
        xmax = 1.5
        intervals: size = 3
        intervals [1]:
            xmin = 0
            xmax = 0.5
            text = "sil"
        intervals [2]:
            xmin = 0.5
            xmax = 1.25
            text = "HH"
        intervals [3]:
            xmin = 1.25
            xmax = 1.5
            text = "AY1"
"""
PHONE_TIMES = [(0.0, 0.5, "sil"), (0.5, 1.25, "HH"), (1.25, 1.5, "AY1")]


def listed(alignment):
    return [tuple(interval) for interval in alignment]


def test_frame_labels_are_those_of_the_centres():
    alignment = Alignment([(0.1, 0.2, "A"), (0.2, 0.3, "B"), (0.4, 0.5, "C")])
    labels = alignment.frame_labels(6, 1600, 16000)  # centres at 0.05, 0.15 ... 0.55 s
    assert labels.tolist() == ["", "A", "B", "", "C", ""]


def test_a_centre_on_a_boundary_belongs_to_the_later_phone():
    assert Alignment([(0, 0.05, "A"), (0.05, 0.1, "B")]).frame_labels(1, 1600, 16000).tolist() == ["B"]


def test_frames_of_nothing():
    assert Alignment([]).frame_labels(2, 64, 16000).tolist() == ["", ""]
    assert Alignment(PHONE_TIMES).frame_labels(0, 64, 16000).tolist() == []


def test_intervals_are_sorted_and_empty_ones_dropped():
    assert listed(Alignment([(1, 2, "b"), (0, 1, "a"), (1, 1, "c")])) == [(0, 1, "a"), (1, 2, "b")]


def test_an_overlap_within_rounding_is_closed():
    assert listed(Alignment([(0, 1.001, "a"), (1, 2, "b")])) == [(0, 1, "a"), (1, 2, "b")]


@pytest.mark.parametrize(
    "intervals", [[(0, 1.1, "a"), (1, 2, "b")], [(1, 0, "a")], [(-1, 0, "a")], [(0, float("nan"), "a")], [(0, float("inf"), "a")]]
)
def test_impossible_times_are_refused(intervals):
    with pytest.raises(AlignmentError):
        Alignment(intervals)


def test_there_are_41_classes():
    assert len({*PHONES, SILENCE, NOISE}) == 41


@pytest.mark.parametrize(
    "label, folded",
    [
        ("AH0", "AH"), ("ER1", "ER"), ("zh", "ZH"), ("ow2_B", "OW"), ("T_E", "T"), ("ax", "AH"), ("sil", SILENCE), ("sp", SILENCE),
        ("", SILENCE), ("pau", SILENCE), ("spn", NOISE), ("SIL", SILENCE), ("noise", NOISE), ("ʃ", "ʃ"), ("K1", "K"),
        ("word", "word"),
    ],
)  # fmt: skip
def test_folding(label, folded):
    assert fold_phone(label) == folded


def test_ctm_there_and_back(tmp_path):
    alignments = {"b-1": Alignment(PHONE_TIMES), "a-1": Alignment([(0.0123, 0.0456, "AA")]), "a-2": Alignment([(0, 1, ""), (1, 2, "T")])}
    write_ctm(tmp_path / "phones.ctm", alignments)
    assert [line.split()[0] for line in (tmp_path / "phones.ctm").read_text().splitlines()] == ["a-1", "a-2", "b-1", "b-1", "b-1"]
    back = read_ctm(tmp_path / "phones.ctm")
    assert [i.label for i in back["a-2"]] == ["T"]
    for utt in ("a-1", "b-1"):
        for got, want in zip(back[utt], alignments[utt], strict=True):
            assert got.label == want.label and got[:2] == pytest.approx(want[:2], abs=1e-4)


def test_ctm_with_comments_and_confidence(tmp_path):
    (tmp_path / "a.ctm").write_text(";; made by hand\nu 1 0.5 0.25 AA 0.99\n\nu A 0.75 0.25 T\n")
    assert listed(read_ctm(tmp_path / "a.ctm")["u"]) == [(0.5, 0.75, "AA"), (0.75, 1.0, "T")]


@pytest.mark.parametrize("line", ["u 1 0.5", "u 1 x 0.5 AA", "u 1 0.5 y AA"])
def test_ctm_names_the_wrong_line(tmp_path, line):
    (tmp_path / "a.ctm").write_text(f"u 1 0.0 0.5 AA\n{line}\n")
    with pytest.raises(AlignmentError, match="line 2"):
        read_ctm(tmp_path / "a.ctm")


def test_ctm_cannot_hold_white_space(tmp_path):
    with pytest.raises(AlignmentError, match="white space"):
        write_ctm(tmp_path / "a.ctm", {"u": Alignment([(0, 1, "two words")])})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("text", [SHORT_TEXTGRID, LONG_TEXTGRID])
def test_textgrid_long_and_short_in_any_encoding(tmp_path, text, encoding):
    (tmp_path / "a.TextGrid").write_text(text, encoding=encoding)
    assert listed(read_textgrid(tmp_path / "a.TextGrid")) == PHONE_TIMES


def test_textgrid_text_may_hold_quotes_and_numbers(tmp_path):
    (tmp_path / "a.TextGrid").write_text(SHORT_TEXTGRID)
    assert listed(read_textgrid(tmp_path / "a.TextGrid", "Words"))[1] == (0.5, 1.5, 'he said "hi" 3 [1]')


def test_textgrid_there_and_back(tmp_path):
    words = Alignment([(0.25, 0.75, 'a "b" 7'), (1.0, 1.25, "c")])
    write_textgrid(tmp_path / "a.TextGrid", {"words": words, "phones": Alignment(PHONE_TIMES)}, 2.0)
    assert listed(read_textgrid(tmp_path / "a.TextGrid", "phones"))[:3] == PHONE_TIMES
    got = listed(read_textgrid(tmp_path / "a.TextGrid", "words"))
    assert got == [(0, 0.25, ""), (0.25, 0.75, 'a "b" 7'), (0.75, 1.0, ""), (1.0, 1.25, "c"), (1.25, 2.0, "")]


@pytest.mark.parametrize("form", ["short_textgrid", "long_textgrid"])
def test_textgrid_that_praatio_wrote(tmp_path, form):
    textgrid = pytest.importorskip("praatio.textgrid")
    grid = textgrid.Textgrid()
    grid.addTier(textgrid.IntervalTier("phones", PHONE_TIMES, 0, 1.5))
    grid.save(str(tmp_path / "a.TextGrid"), format=form, includeBlankSpaces=True)
    assert listed(read_textgrid(tmp_path / "a.TextGrid")) == PHONE_TIMES


def test_textgrid_that_praatio_reads(tmp_path):
    textgrid = pytest.importorskip("praatio.textgrid")
    write_textgrid(tmp_path / "a.TextGrid", {"phones": Alignment(PHONE_TIMES[1:])}, 1.5)
    tier = textgrid.openTextgrid(str(tmp_path / "a.TextGrid"), includeEmptyIntervals=False).getTier("phones")
    assert [tuple(entry) for entry in tier.entries] == PHONE_TIMES[1:]


@pytest.mark.parametrize(
    "text, reason",
    [
        ("hello", "not a TextGrid"),
        (SHORT_TEXTGRID[:200], "ends early"),
        (SHORT_TEXTGRID.replace("phones", "tones"), "no interval tier 'phones', it has words, mary - tones"),
        ('File type = "ooTextFile"\nObject class = "Pitch"\n', "not a text TextGrid"),
    ],
)
def test_textgrid_says_what_is_wrong(tmp_path, text, reason):
    (tmp_path / "a.TextGrid").write_text(text)
    with pytest.raises(AlignmentError, match=reason):
        read_textgrid(tmp_path / "a.TextGrid")


def test_htk_labels(tmp_path):
    (tmp_path / "a.lab").write_text("0 5000000 sil\n5000000 12500000 HH -123.4\n\n12500000 15000000 AY1\n")
    assert listed(read_alignment(tmp_path / "a.lab")) == PHONE_TIMES


def test_hts_full_context_labels(tmp_path):
    line = "x^x-{}+iy=z@1_2/A:0_0_0/B:1-1-4@1-1&1-5#1-3$1-3!0-1;0-1|iy/C:1+0+2"
    (tmp_path / "a.lab").write_text(f"0 1000000 {line.format('sil')}\n1000000 2000000 {line.format('p')}\n")
    assert [i.label for i in read_labels(tmp_path / "a.lab")] == ["sil", "p"]


@pytest.mark.parametrize("text", ["0 5000000\n", "0.5 1.5 AA\n", "sil\n"])
def test_labels_name_the_wrong_line(tmp_path, text):
    (tmp_path / "a.lab").write_text(text)
    with pytest.raises(AlignmentError, match="a.lab line 1"):
        read_labels(tmp_path / "a.lab")


def test_overlapping_labels_name_the_file(tmp_path):
    (tmp_path / "a.lab").write_text("0 5000000 A\n4000000 6000000 B\n")
    with pytest.raises(AlignmentError, match="a.lab: 'A' ends at 0.5000 s"):
        read_labels(tmp_path / "a.lab")


def test_unreadable_files(tmp_path):
    (tmp_path / "a.lab").write_bytes(b"\xff\x00\xff")
    for name, reason in (("a.lab", "not text"), ("b.TextGrid", "cannot be read"), ("a.txt", "must be .TextGrid or .lab")):
        with pytest.raises(AlignmentError, match=reason):
            read_alignment(tmp_path / name)
