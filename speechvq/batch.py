"""Many utterances on all cores: one fault does not stop the others."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

from speechvq.errors import SpeechVQError
from speechvq.progress import progress


@dataclass(frozen=True)
class Job:
    """One utterance to write.

    Args:
        name: to report it by.
        seconds: how long it is, for the progress bar.
        run: does it; is given a function that takes the seconds done since the last call.
    """

    name: str
    seconds: float
    run: Callable[[Callable[[float], None]], None]


def worker_count(jobs: int, threads: int | None) -> int:
    """How many jobs to run side by side: one stream uses its own threads, several streams one each."""
    return 1 if jobs == 1 else min(jobs, threads or os.cpu_count() or 1)


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let torch use so many threads, and afterwards as many as before.

    Args:
        count: at least 1.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def side_by_side(workers: int) -> Iterator[ThreadPoolExecutor]:
    """A pool whose several workers keep torch to one core each; what it has not begun when it is left is dropped.

    Args:
        workers: how many; a lone one keeps torch's threads.
    """
    with torch_threads(1) if workers > 1 else nullcontext():
        pool = ThreadPoolExecutor(workers)
        try:
            yield pool
        finally:
            pool.shutdown(cancel_futures=True)


def run_jobs(jobs: Sequence[Job], workers: int, title: str, faults: Sequence[str] = ()) -> list[str]:
    """Run all jobs under a progress bar that counts seconds of audio.

    Args:
        jobs: what to do, in this order.
        workers: how many at a time.
        title: of the bar.
        faults: of those that did not even become jobs.

    Returns:
        one line for each job that failed, after `faults`; the error of a job that is alone is raised instead.
    """
    alone = len(jobs) == 1 and not faults
    faults = list(faults)
    total = sum(job.seconds for job in jobs)
    layout = "{l_bar}{bar}| {n:.1f}/{total:.1f} s of audio [{elapsed}<{remaining}, {rate_noinv_fmt}]"
    with progress(None, title, total, unit="s", bar_format=layout) as bar, side_by_side(workers) as pool:

        def one(job: Job) -> None:
            try:
                job.run(lambda seconds: bar.update(min(seconds, bar.total - bar.n)))
            except (SpeechVQError, OSError) as error:
                if alone:
                    raise
                faults.append(f"{job.name}: {error}")

        list(pool.map(one, jobs))
    return faults
