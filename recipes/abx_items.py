"""Write the ABX item file of a data directory that has phone times: python recipes/abx_items.py DATA_DIR OUT.item"""

from __future__ import annotations

import argparse
import sys

from speechvq.corpus import DataDir
from speechvq.errors import InputError, SpeechVQError
from speechvq.metrics.abx_items import Item, triphones, write_items


def main() -> int:
    """Write the items."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", metavar="DATA_DIR", help="with phones.ctm")
    parser.add_argument("items", metavar="OUT.item", help="in the ZeroSpeech item format")
    args = parser.parse_args()
    try:
        items = items_of(DataDir(args.data))
    except SpeechVQError as error:
        print(f"abx_items: {error}", file=sys.stderr)
        return 2
    write_items(args.items, items)
    print(f"{args.items}: {len(items)} triphones of {len({item.speaker for item in items})} speakers")
    return 0


def items_of(data: DataDir) -> list[Item]:
    """The triphones of a data directory.

    Raises:
        InputError: it has none.
    """
    items = triphones(data.alignments, data.utt2spk)
    if not items:
        raise InputError(f"{data.path} has no phone times: run 'speechvq align {data.path}'")
    return items


if __name__ == "__main__":
    sys.exit(main())
