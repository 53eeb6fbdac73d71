"""How many words or letters a recogniser got wrong."""

from __future__ import annotations

from collections.abc import Sequence


def edit_distance(reference: Sequence[str], found: Sequence[str]) -> int:
    """The fewest insertions, deletions and substitutions that turn one sequence into another.

    Source: Levenshtein 1966.
    """
    above = list(range(len(found) + 1))
    for i, wanted in enumerate(reference, start=1):
        row = [i]
        for j, given in enumerate(found, start=1):
            row.append(min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (wanted != given)))
        above = row
    return above[-1]
