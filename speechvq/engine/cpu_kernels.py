"""The inner loop of the fused decoder: matrix times vector.

A matrix is held as groups of 2 * lanes rows ("low" and "high" ones), groups in panels of 4 (the last
panels of 2 and 1), and within a panel column by column (`cpu_pack.py` writes them); so it is read once,
from end to end. Rows and columns are padded with zeros to whole groups. In an integer form a panel begins
with what its sums start from, int32, and ends with what a unit of each sum is worth, float32.

Activations lie in *slots* (`cpu_slots.py`): the numbers, and behind those of an integer form what one unit of
them is worth, float32.
"""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir
from numba.core import cgutils

from speechvq.engine import simd
from speechvq.engine.cpu_slots import count, unit_address
from speechvq.engine.simd import F32, I32, LINE, constant, element, fma, load, splat, vector

PANELS = (4, 2, 1)


def at_least(b: ir.IRBuilder, number, least: int) -> ir.Value:
    """Whether an int64 is so large."""
    return b.icmp_signed(">=", number, count(least))


class Product:
    """Emits loops over a matrix's groups.

    Args:
        form: how numbers are held.
        streams: how many activations share each weight that is loaded. A single one has the sums of a
            whole panel in registers, several those of one group each.
        go_on: whether what lies behind the matrix is read next, and to be asked for.
    """

    def __init__(self, b: ir.IRBuilder, form: type[simd.Float32], streams: int, go_on: bool = False):
        self.b, self.form, self.streams, self.go_on = b, form, streams, go_on
        self.sums = vector(I32 if form.is_integer else F32, form.lanes)
        self.floats = vector(F32, form.lanes)
        self.group_bytes = 2 * form.lanes * form.columns * form.weight_bytes
        self.row_bytes = 2 * form.lanes * 4 if form.is_integer else 0  # of a group's starts, and of its scales

    def run(self, weights, activations: list, groups, steps, finish: Callable) -> None:
        """Multiply, and hand over the sums of some groups and streams at a time.

        Args:
            weights: address of the matrix.
            activations: addresses of slots.
            groups: of the matrix.
            steps: of each row.
            finish: takes a list of (group, stream, plus), where plus(half, y) is y with the group's low or high sums.
        """
        b = self.b
        units = [self._unit(x, steps) for x in activations]
        place, first = cgutils.alloca_once_value(b, weights), cgutils.alloca_once_value(b, count(0))

        def panel(size, tile: int) -> None:
            """`size` groups, of which `tile` together."""
            starts, group = b.load(place), b.load(first)
            base = b.add(starts, b.mul(size, count(self.row_bytes)))
            step_bytes = b.mul(size, count(self.group_bytes))
            scales = b.add(base, b.mul(steps, step_bytes))
            after = b.add(scales, b.mul(size, count(self.row_bytes)))
            with cgutils.for_range(b, b.udiv(size, count(tile))) as loop:
                rows = b.mul(loop.index, count(tile * self.row_bytes))
                start = element(b, base, loop.index, tile * self.group_bytes)
                totals = self._multiply(start, step_bytes, b.add(starts, rows), tile, activations, steps)
                if self.go_on and self.streams == 1 and self.form.ahead_bytes:
                    self._fetch(after)
                done = []
                for g in range(tile):
                    number = b.add(b.add(group, count(g)), b.mul(loop.index, count(tile)))
                    for q in range(self.streams):
                        done.append((number, q, self._plus(totals[q][g], b.add(scales, rows), g, units[q])))
                finish(done)
            b.store(after, place)
            b.store(b.add(group, size), first)

        numbers = [b.udiv(groups, count(4)), *(b.and_(b.udiv(groups, count(size)), count(1)) for size in PANELS[1:])]
        if self.streams == 1:
            for size, number in zip(PANELS, numbers, strict=True):
                with cgutils.for_range(b, number):
                    panel(count(size), size)
        else:
            with cgutils.for_range(b, b.add(numbers[0], b.add(*numbers[1:]))):
                left = b.sub(groups, b.load(first))
                panel(b.select(at_least(b, left, 4), count(4), b.select(at_least(b, left, 2), count(2), count(1))), 1)

    def _multiply(self, start, step_bytes, starts, tile: int, activations: list, steps) -> list:
        """The sums [stream][group][half] of `tile` groups."""
        b, form = self.b, self.form
        totals = [
            [[self._sums(self._start(starts, g, half)) for half in range(2)] for g in range(tile)] for _ in activations
        ]
        with cgutils.for_range(b, steps) as loop:
            at = b.add(start, b.mul(loop.index, step_bytes))
            weights = [simd.load_weights(b, form, at, g * self.group_bytes) for g in range(tile)]
            for q in range(self.streams):
                x = simd.broadcast(b, form, element(b, activations[q], loop.index, form.columns * form.activation_bytes))
                for g in range(tile):
                    for half in range(2):
                        sums = totals[q][g][half]
                        added = simd.multiply_add(b, form, [b.load(each) for each in sums], weights[g][half], x)
                        for total, each in zip(added, sums, strict=True):
                            b.store(total, each)
        return [[[self._whole(sums) for sums in pair] for pair in stream] for stream in totals]

    def _sums(self, start) -> list:
        """Where a group's half of a product is summed: one stream's parts apart, as each addition waits for the one before."""
        b = self.b
        apart = simd.parts(self.form) if self.form.fused_product and self.streams == 1 else 1
        return [cgutils.alloca_once_value(b, start if part == 0 else constant(self.sums, 0)) for part in range(apart)]

    def _whole(self, sums: list):
        first, *others = [self.b.load(each) for each in sums]
        for other in others:
            first = self.b.add(first, other)
        return first

    def _fetch(self, address) -> None:
        with cgutils.for_range(self.b, count(self.form.ahead_bytes // LINE)) as loop:
            simd.prefetch(self.b, element(self.b, address, loop.index, LINE))

    def _start(self, starts, g: int, half: int):
        if not self.form.is_integer:
            return constant(self.sums, 0)
        return load(self.b, self.sums, starts, (2 * g + half) * 4 * self.form.lanes)

    def _unit(self, x, steps):
        if not self.form.is_integer:
            return None
        b, form = self.b, self.form
        return splat(b, load(b, F32, unit_address(b, form, x, b.mul(steps, count(form.columns)))), form.lanes)

    def _plus(self, pair: list, scales, g: int, unit) -> Callable:
        b = self.b

        def plus(half: int, addend):
            if unit is None:
                return b.fadd(pair[half], addend)
            scale = load(b, self.floats, scales, (2 * g + half) * 4 * self.form.lanes)
            return fma(b, b.sitofp(pair[half], self.floats), b.fmul(scale, unit), addend)

        return plus

