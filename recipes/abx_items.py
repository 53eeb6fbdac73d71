"""Write the ABX item file of a data directory that has phone times: python recipes/abx_items.py DATA_DIR OUT.item"""

from __future__ import annotations

import argparse

from speechvq.corpus import DataDir
from speechvq.metrics.abx_items import triphones, write_items


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", metavar="DATA_DIR", help="with phones.ctm")
    parser.add_argument("items", metavar="OUT.item", help="in the ZeroSpeech item format")
    args = parser.parse_args()
    data = DataDir(args.data)
    items = triphones(data.alignments, data.utt2spk)
    if not items:
        parser.error(f"{args.data} has no phone times: run 'speechvq align {args.data}'")
    write_items(args.items, items)
    print(f"{args.items}: {len(items)} triphones of {len({item.speaker for item in items})} speakers")


if __name__ == "__main__":
    main()
