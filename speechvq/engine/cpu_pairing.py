"""Whether a second thread helps: it does while it has a core to itself, and costs tenfold when it has not."""

from __future__ import annotations

PROBE = 256  # samples of a trial
BLOCK_SECONDS = 0.03  # between two looks at the clock: outweighs waking the other thread, which may take a millisecond
FIRST_REST = 4  # blocks until the slower way is tried again; doubled whenever it is slower again
LONGEST_REST = 64


class Pairing:
    """Chooses, block after block, between one thread and two by what each took lately."""

    def __init__(self) -> None:
        self._cost: dict[bool, float] = {}  # seconds a sample, with a second thread or without
        self._rest = FIRST_REST
        self._blocks = 0

    def choose(self, remaining: int) -> tuple[bool, int]:
        """Whether to take two threads next, and for how many samples."""
        if remaining < PROBE:
            return False, remaining
        for pair in (False, True):
            if pair not in self._cost:
                return pair, PROBE
        best = self._cost[True] < self._cost[False]
        if self._blocks >= self._rest:
            return not best, PROBE
        return best, min(remaining, max(PROBE, int(BLOCK_SECONDS / self._cost[best])))

    def record(self, pair: bool, samples: int, seconds: float) -> None:
        """Learn what a block took, from when all its threads were at work."""
        if samples < PROBE:
            return
        cost = seconds / samples
        trial = len(self._cost) == 2 and self._blocks >= self._rest
        if trial:
            better = cost < self._cost[not pair]
            self._rest = FIRST_REST if better else min(2 * self._rest, LONGEST_REST)
            self._blocks = 0
        else:
            self._blocks += 1
        self._cost[pair] = cost
