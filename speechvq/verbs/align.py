"""speechvq align: phone times for English recordings with transcripts."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from speechvq.errors import CorpusError, SpeechVQError

HELP = "Find phone times of an English data directory, by pocketsphinx."
EXAMPLE = "  speechvq align data/train --nj 4"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("data", metavar="DATA_DIR", help="data directory with transcripts; phones.ctm is written there")
    parser.add_argument("--nj", type=int, default=os.cpu_count() or 1, metavar="N", help="processes (all cores)")


def run(args: argparse.Namespace) -> int:
    """Align all that have a transcript, list what failed, and keep the rest."""
    from speechvq.alignment import write_ctm
    from speechvq.corpus import DataDir
    from speechvq.inputs import report_faults
    from speechvq.sphinx.decoder import open_decoder

    data = DataDir(args.data)
    ctm = data.path / "phones.ctm"
    if ctm.exists():
        raise CorpusError(f"{ctm} is already there: remove it to align again")
    if not data.text:
        raise CorpusError(f"{data.path} has no transcripts: align needs a file 'text'")
    open_decoder(lm=None)
    found, guessed, faults = _align_all(data.path, list(data.text), max(1, args.nj))
    faults += [f"{utt}: no transcript" for utt in data.utterances if utt not in data.text]
    for word, phones in sorted(guessed.items()):
        print(f"guessed: {word} = {phones}", file=sys.stderr)
    if found:
        write_ctm(ctm, found)
    print(f"{ctm}: {len(found)} of {len(data)} utterances aligned, {len(guessed)} words guessed by their spelling")
    return report_faults(faults, len(data))


def _align_all(path: Path, utterances: list[str], workers: int) -> tuple[dict, dict[str, str], list[str]]:
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    from tqdm import tqdm

    found, guessed, faults = {}, {}, []
    # Processes, since pocketsphinx holds the interpreter while it searches; spawned, so that no thread is cut in two.
    with ProcessPoolExecutor(workers, get_context("spawn"), _open_worker, (path,)) as pool:
        results = pool.map(_align_one, utterances, chunksize=max(1, min(16, len(utterances) // workers)))
        for utt, (alignment, words, fault) in zip(utterances, tqdm(results, "aligning", len(utterances)), strict=True):
            guessed.update(words)
            if alignment is None:
                faults.append(f"{utt}: {fault}")
            else:
                found[utt] = alignment
    return found, guessed, faults


def _open_worker(path: Path) -> None:
    from speechvq.corpus import DataDir
    from speechvq.sphinx.align import Aligner

    global _data, _aligner
    _data, _aligner = DataDir(path), Aligner()


def _align_one(utt: str):
    try:
        return _aligner.align(_data.audio(utt), _data.text[utt]), dict(_aligner.guessed), ""
    except SpeechVQError as error:
        return None, {}, str(error)
