#!/usr/bin/env python
"""Choose test utterances and target voices, and write the list that `speechvq convert` takes."""

from __future__ import annotations

import argparse
import csv
import sys
from collections import Counter
from pathlib import Path

from speechvq.audio import write
from speechvq.corpus import DataDir
from speechvq.errors import InputError, SpeechVQError
from speechvq.files import atomic_file


def main() -> int:
    """Write the list, and the utterances where they are pieces of longer recordings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", metavar="DATA_DIR", help="test utterances")
    parser.add_argument("output", metavar="LIST.csv", help="list to write: input,speaker,output")
    parser.add_argument("--count", type=int, default=24, help="how many utterances (24)")
    parser.add_argument("--voices", type=Path, required=True, metavar="FILE", help="speakers.txt of the model")
    parser.add_argument("--targets", nargs="+", help="voices to convert to; all that the model has where left out; 'self' for each one's own")
    args = parser.parse_args()
    try:
        voices = args.voices.read_text(encoding="utf-8").split()
        rows = conversions(DataDir(args.data), args.count, voices, args.targets, Path(args.output).parent / "sources")
    except (SpeechVQError, OSError) as error:
        print(f"conversion_list: {error}", file=sys.stderr)
        return 2
    with atomic_file(args.output) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("input", "speaker", "output"))
        writer.writerows(rows)
    print(f"{args.output}: {len(rows)} conversions")
    return 0


def conversions(data: DataDir, count: int, voices: list[str], targets: list[str] | None, sources: Path) -> list[tuple[str, str, str]]:
    """Pairs of utterance and target, spread over sources and targets; nobody is converted to themselves.

    Args:
        data: test utterances.
        count: how many to take, evenly spaced over the sorted list; 0 takes none.
        voices: that the model has.
        targets: those to convert to; all voices where None; `self` alone for reconstructions.
        sources: folder that the utterances are written to.

    Raises:
        InputError: a target that the model does not have, or a negative count.
    """
    if count < 0:
        raise InputError(f"--count must be 0 or more, not {count}")
    rebuild = targets == ["self"]
    if unknown := sorted(set(targets or ()) - set(voices) - {"self"}):
        raise InputError(f"the model has no voice '{unknown[0]}'; it has: {', '.join(voices)}")
    usable = [utt for utt in data.utterances if not rebuild or data.utt2spk[utt] in voices]
    rows, used = [], Counter()
    for turn, utt in enumerate(usable[:: max(1, len(usable) // max(1, count))][:count]):
        speaker = data.utt2spk[utt]
        others = [speaker] if rebuild else [voice for voice in targets or voices if voice != speaker]
        if not others:
            continue
        # The voices take turns; from a place that moves on by seven, so that successive utterances meet distant ones.
        start = turn * 7 % len(others)
        target = min(others[start:] + others[:start], key=used.__getitem__)
        used[target] += 1
        source = sources / f"{utt}.wav"
        write(source, data.audio(utt, 16000), 16000)
        rows.append((str(source), target, f"{utt}-to-{target}.wav"))
    return rows


if __name__ == "__main__":
    sys.exit(main())
