"""Whether a second thread helps: it does while it has a core to itself, and costs tenfold when it has not."""

from __future__ import annotations

PROBE = 256  # samples of a trial
BLOCK_SECONDS = 0.03  # between two looks at the clock: outweighs waking the other thread, which may take a millisecond
FIRST_REST = 4  # blocks until a slower way is tried again; doubled whenever it is slower again
LONGEST_REST = 64

# Ways to decode a stream: one thread, or two of which the first tells the second of every so many layers at least.
# Which is better depends on how far apart the two cores are: a message takes 30 to 250 ns.
ONE_THREAD, TOLD_SELDOM, TOLD_OFTEN = 0, 1 << 16, 2
WAYS = (ONE_THREAD, TOLD_SELDOM, TOLD_OFTEN)


class Pairing:
    """Chooses among the ways, block after block, by what each took lately."""

    def __init__(self) -> None:
        self._cost: dict[int, float] = {}  # seconds a sample of each way, the one measured longest ago first
        self._rest = FIRST_REST
        self._blocks = 0

    def choose(self, remaining: int) -> tuple[int, int]:
        """Which way to go next, and for how many samples."""
        if remaining < PROBE:
            return ONE_THREAD, remaining
        for way in WAYS:
            if way not in self._cost:
                return way, PROBE
        best = min(self._cost, key=self._cost.get)
        if self._blocks >= self._rest:
            return next(way for way in self._cost if way != best), PROBE
        return best, min(remaining, max(PROBE, int(BLOCK_SECONDS / self._cost[best])))

    def record(self, way: int, samples: int, seconds: float) -> None:
        """Learn what a block took, from when all its threads were at work."""
        if samples < PROBE:
            return
        cost = seconds / samples
        trial = len(self._cost) == len(WAYS) and self._blocks >= self._rest
        if trial:
            better = cost < min(self._cost[other] for other in self._cost if other != way)
            self._rest = FIRST_REST if better else min(2 * self._rest, LONGEST_REST)
            self._blocks = 0
        else:
            self._blocks += 1
        self._cost.pop(way, None)
        self._cost[way] = cost
