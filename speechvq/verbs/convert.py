"""speechvq convert: recordings into another voice."""

from __future__ import annotations

import argparse
import csv
import sys
from collections import Counter, deque
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import BinaryIO

from speechvq.errors import AudioError, InputError
from speechvq.options import add_decoding, add_model

HELP = "Convert recordings to another voice."
EXAMPLE = """  speechvq convert --speaker slt my.wav -o slt.wav
  speechvq convert --model exp/arctic/best --speaker bdl recordings/ -o converted/
  speechvq convert list.csv -o converted/        # columns input,speaker,output
  speechvq convert --speaker slt my.wav --play
  speechvq convert --speaker slt my.wav --stream | ffmpeg -f s16le -ar 16000 -i - slt.opus"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_model(parser)
    parser.add_argument("input", metavar="IN.wav|DIR|LIST.csv", help="a recording, a folder of them, or a list")
    parser.add_argument("--speaker", metavar="NAME", help="target voice; 'speechvq info MODEL_DIR' lists them")
    parser.add_argument("-o", "--output", metavar="OUT.wav|DIR", help="file to write, or folder for several")
    live = parser.add_mutually_exclusive_group()
    live.add_argument("--play", action="store_true", help="hear one recording while it is converted; -o may be left out")
    live.add_argument("--stream", action="store_true", help="write 16-bit samples to standard output as they are made; -o may be left out")
    add_decoding(parser)


def run(args: argparse.Namespace) -> int:
    """Convert everything, report what failed, and keep the rest."""
    from speechvq.batch import run_jobs, worker_count
    from speechvq.inputs import report_faults
    from speechvq.options import open_codec

    tasks = _tasks(args)
    live = args.play or args.stream
    if live and len(tasks) != 1:
        raise InputError(f"--play and --stream take one recording, not {len(tasks)}")
    if not (live or args.output):
        raise InputError("say where to write with -o, or hear one recording with --play")
    workers = worker_count(len(tasks), args.threads)
    if workers > 1:
        args.threads = 1  # streams run side by side, so each keeps to one core
    codec = open_codec(args)
    for _, speaker, _ in tasks:
        codec.model.speaker_vector(speaker)
    with _pipe(args, codec.sample_rate) as pipe:
        jobs, faults = _jobs(codec, tasks, args, pipe)
        codec.prepare_engine()
        faults = run_jobs(jobs, workers, "converting", faults)
    return report_faults(faults, len(tasks))


def _pipe(args: argparse.Namespace, sample_rate: int) -> AbstractContextManager[BinaryIO | None]:
    if args.play:
        from speechvq.listening import player

        return player(sample_rate)
    return nullcontext(sys.stdout.buffer if args.stream else None)


def _tasks(args: argparse.Namespace) -> list[tuple[Path, str, Path]]:
    source, output = Path(args.input), Path(args.output or "")
    if source.suffix.lower() == ".csv":
        return [(Path(row["input"]), row["speaker"], output / row["output"]) for row in _read_list(source)]
    if not args.speaker:
        raise InputError("name the target voice with --speaker; 'speechvq info MODEL_DIR' lists them")
    if source.is_dir():
        from speechvq.inputs import audio_files

        found = audio_files(source)
        outputs = [path.relative_to(source).with_suffix(".wav") for path in found]
        _refuse_repeated(source, outputs, "rename one")
        return [(path, args.speaker, output / name) for path, name in zip(found, outputs, strict=True)]
    if not source.exists():
        raise InputError(f"{source} does not exist: name a recording, a folder of them, or a .csv list")
    return [(source, args.speaker, output / f"{source.stem}.wav" if output.is_dir() else output)]


def _read_list(path: Path) -> list[dict[str, str]]:
    try:
        # As spreadsheets write it, with a mark at the start, or as others do.
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            if not {"input", "speaker", "output"} <= set(reader.fieldnames or ()):
                raise InputError(f"{path} must have the columns input,speaker,output, not {','.join(reader.fieldnames or ())}")
            rows = list(reader)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is no table in UTF-8 ({error}): save it as CSV UTF-8") from None
    for number, row in enumerate(rows, start=2):
        if not (row["input"] and row["speaker"] and row["output"]):
            raise InputError(f"{path} line {number} needs an input, a speaker and an output")
    if not rows:
        raise InputError(f"{path} lists nothing to convert")
    _refuse_repeated(path, [row["output"] for row in rows], "give each row its own output")
    return rows


def _refuse_repeated(source: Path, outputs: list, mend: str) -> None:
    if repeated := [name for name, times in Counter(outputs).items() if times > 1]:
        raise InputError(f"{source} would write {repeated[0]} twice: {mend}")


def _jobs(codec, tasks: list[tuple[Path, str, Path]], args: argparse.Namespace, pipe: BinaryIO | None) -> tuple[list, list[str]]:
    from speechvq import audio
    from speechvq.batch import Job
    from speechvq.listening import heard
    from speechvq.options import sampling

    how = sampling(args)

    def job(source: Path, speaker: str, output: Path, seconds: float) -> Job:
        def convert(advance) -> None:
            blocks = _counted(codec.convert_file(source, speaker, how), codec.sample_rate, advance)
            blocks = heard(blocks, pipe) if pipe else blocks
            if args.output:
                audio.write_blocks(output, blocks, codec.sample_rate)
            else:
                deque(blocks, maxlen=0)

        return Job(str(source), seconds, convert)

    jobs, faults = [], []
    for source, speaker, output in tasks:
        try:
            jobs.append(job(source, speaker, output, audio.info(source).duration))
        except AudioError as error:
            if len(tasks) == 1:
                raise
            faults.append(str(error))
    return jobs, faults


def _counted(blocks, sample_rate: int, advance):
    for block in blocks:
        advance(len(block) / sample_rate)
        yield block
