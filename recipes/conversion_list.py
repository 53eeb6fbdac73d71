#!/usr/bin/env python
"""Choose test utterances and target voices, and write the list that `speechvq convert` takes."""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

from speechvq.audio import write
from speechvq.corpus import DataDir
from speechvq.errors import SpeechVQError
from speechvq.files import atomic_file


def main() -> int:
    """Write the list, and the utterances where they are pieces of longer recordings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", metavar="DATA_DIR", help="test utterances")
    parser.add_argument("output", metavar="LIST.csv", help="list to write: input,speaker,output")
    parser.add_argument("--count", type=int, default=24, help="how many utterances (24)")
    parser.add_argument("--targets", nargs="+", help="voices to convert to; those of the data where left out; 'self' for each one's own")
    args = parser.parse_args()
    try:
        rows = conversions(DataDir(args.data), args.count, args.targets, Path(args.output).parent / "sources")
    except SpeechVQError as error:
        print(f"conversion_list: {error}", file=sys.stderr)
        return 2
    with atomic_file(args.output) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("input", "speaker", "output"))
        writer.writerows(rows)
    print(f"{args.output}: {len(rows)} conversions")
    return 0


def conversions(data: DataDir, count: int, targets: list[str] | None, sources: Path) -> list[tuple[str, str, str]]:
    """Pairs of utterance and target, spread over sources and targets; nobody is converted to themselves.

    Args:
        data: test utterances.
        count: how many to take, evenly spaced over the sorted list.
        targets: voices; those of the data where None; `self` alone for reconstructions.
        sources: folder that the utterances are written to.
    """
    targets = targets or data.speakers
    step = max(1, len(data.utterances) // count)
    rows = []
    for turn, utt in enumerate(data.utterances[::step][:count]):
        speaker = data.utt2spk[utt]
        others = [speaker] if targets == ["self"] else [target for target in targets if target != speaker]
        if not others:
            continue
        # A stride that is prime to most counts, so that successive utterances meet distant voices.
        target = others[turn * 7 % len(others)]
        source = sources / f"{utt}.wav"
        write(source, data.audio(utt), 16000)
        rows.append((str(source), target, f"{utt}-to-{target}.wav"))
    return rows


if __name__ == "__main__":
    sys.exit(main())
