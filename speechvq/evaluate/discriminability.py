"""ABX of units: every figure of `speechvq evaluate abx`, as one dictionary."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from speechvq.corpus import DataDir
from speechvq.errors import InputError
from speechvq.evaluate.page import Table, add_tables
from speechvq.metrics.abx import abx
from speechvq.metrics.abx_items import Item
from speechvq.metrics.mfcc import FRAME_SECONDS, mfcc
from speechvq.report import Report
from speechvq.units import UnitsDir


def evaluate_abx(
    units: UnitsDir,
    items: Sequence[Item],
    codebook: np.ndarray | None = None,
    data: DataDir | None = None,
    max_tokens: int = 10,
    seed: int = 0,
) -> dict:
    """Error rates of units, of their vectors, and of MFCC on the same items.

    Args:
        units: of the items' files.
        items: the stretches of speech.
        codebook: [K, D] vectors of the units; without it there are no such rows.
        data: audio of the items' files for MFCC; without it there is no such row.
        max_tokens: of one speaker, context and phone.
        seed: of the thinning to that number.

    Returns:
        results ready for JSON, described in docs/evaluation.md.

    Raises:
        InputError: no item has units, or the codebook is of another size.
    """
    if codebook is not None and len(codebook) != units.codebook_size:
        raise InputError(f"{units.path} holds units of a codebook of {units.codebook_size}, the model has {len(codebook)}")
    known = [item for item in items if item.file in units]
    step = units.hop_length / units.sample_rate
    ids = _Files(lambda file: units[file].ids[:, None])
    frames = [ids.between(item, step, 0.5) for item in known]
    usable = [index for index, token in enumerate(frames) if len(token)]
    if not usable:
        raise InputError(f"none of the {len(items)} items has units in {units.path}: are these the item file's utterances?")
    chosen, frames = [known[i] for i in usable], [frames[i] for i in usable]
    kinds = [("units", "identity", frames)]
    if codebook is not None:
        vectors = [codebook[token[:, 0]] for token in frames]
        kinds += [("unit vectors", distance, vectors) for distance in ("cosine", "euclidean")]
    rows = [_row(name, distance, chosen, tokens, max_tokens, seed) for name, distance, tokens in kinds]
    if data is not None:
        rows.append(_mfcc_row(data, chosen, max_tokens, seed))
    about = {"units": str(units.path), "items": len(items), "items_used": len(chosen), "max_tokens": max_tokens, "seed": seed}
    return {**about, "abx": rows}


def tables(results: dict) -> list[Table]:
    """What a terminal shows of `evaluate_abx`."""
    note = (
        f"{results['units']}: {results['items_used']} of {results['items']} items have units. "
        "Errors in per cent, averaged over contexts, speakers and phone pairs; 50 is chance."
    )
    rows = [
        [row["name"], row["distance"], *(None if row[k] is None else 100 * row[k] for k in ("within", "across")), row["triples"]]
        for row in results["abx"]
    ]
    return [Table("ABX on triphones", ["", "distance", "within speakers", "across speakers", "triples"], rows, note)]


def page(results: dict) -> Report:
    """The whole page."""
    return add_tables(Report(f"ABX: {results['units']}"), tables(results))


class _Files:
    # Frames of the file last asked for: items come file by file.
    def __init__(self, read: Callable[[str], np.ndarray]):
        self._read, self._name, self._frames = read, None, np.zeros((0, 1))

    def between(self, item: Item, step: float, centre: float) -> np.ndarray:
        if item.file != self._name:
            self._name, self._frames = item.file, self._read(item.file)
        first, last = (int(np.ceil(time / step - centre - 1e-6)) for time in (item.onset, item.offset))
        return self._frames[max(first, 0) : last]


def _row(name: str, distance: str, items: list[Item], tokens: list[np.ndarray], max_tokens: int, seed: int) -> dict:
    found = abx(items, tokens, distance, max_tokens, seed)
    triples = found.within_triples + found.across_triples
    return {"name": name, "distance": distance, "within": found.within, "across": found.across, "triples": triples}


def _mfcc_row(data: DataDir, items: list[Item], max_tokens: int, seed: int) -> dict:
    heard = [item for item in items if item.file in data]
    files = _Files(lambda file: mfcc(data.audio(file), 16000))
    tokens = [files.between(item, FRAME_SECONDS, 0.0) for item in heard]
    kept = [(item, token) for item, token in zip(heard, tokens, strict=True) if len(token)]
    return _row("MFCC", "cosine", [item for item, _ in kept], [token for _, token in kept], max_tokens, seed)
