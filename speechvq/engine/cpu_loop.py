"""The whole sample loop of the fused decoder, compiled once for each form and for all sizes.

A sample is three parts. The *chain*, layer after layer, is what one thread must do in order; the *side*
(skip sums, and the past taps of the next sample) follows a layer behind; the *finish* makes of the skip
sums the next sample. One thread does all; two threads share one stream in `run_pair`; several streams go
through each matrix together, `TILE` at a time.

Addresses and sizes come as one record, a plan, of which only the address is passed on: arrays would be counted
references, and six words each in every call.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from speechvq.engine.cpu_compile import cached, sources_digest
from speechvq.engine.cpu_draw import keep_nucleus, sharpness, uniform_at
from speechvq.engine.cpu_layers import make_add_product, make_gate, make_residual
from speechvq.engine.cpu_sync import fetch_to_read, fetch_to_write, give_way, load_acquire, pause, store_release
from speechvq.engine.cpu_vectors import (
    BLOCK,
    block_sums,
    exponentials,
    floats_at,
    integers_at,
    largest,
    make_rectify,
    put,
    seeds_at,
)

TILE = 4
AHEAD = 5  # layers by which memory is asked for in advance
PAUSES = 3  # between two looks at a counter
SAMPLE = 1 << 16  # a counter of samples counts these, and holds the latest sample below: one message instead of two
add_product_1, add_product_n = make_add_product(1), make_add_product(TILE)
add_output_1, add_output_n = make_add_product(1, of_output=True), make_add_product(TILE, of_output=True)
gate_1, gate_n = make_gate(1), make_gate(TILE)
residual_1, residual_n = make_residual(1), make_residual(TILE)
rectify, rectify_hidden = make_rectify(), make_rectify(of_output=True)

# R, S, A are filled up to whole groups; names of arrays stand for their addresses; a step is the bytes from one
# layer, tap or stream to the next, where that does not follow from the sizes.
SIZES = ["layers", "past_taps", "R", "S", "A", "num_classes", "hop_length", "rings", "dilations"]
COUNTS = ["gate_groups", "residual_groups", "S_groups", "A_groups", "R_steps", "S_steps", "output_steps"]  # of the products
WEIGHTS = [
    *["embedding", "chain_weights", "chain_step", "residual_at", "past_weights", "past_step", "past_tap_step"],
    *["skip_weights", "skip_step"],
    *["hidden_weights", "output_weights", "residual_bias", "skip_bias", "hidden_bias", "output_bias"],
]
STREAMS = [
    *["history", "history_step", "slot_bytes", "past", "x", "z", "z_step", "z_bytes", "skip", "hidden"],
    *["slot", "slot_step", "logits", "probabilities", "blocks"],
]
JOB = [
    *["start", "first_frame", "frames", "frames_step", "num_samples", "tell_every", "samples", "seeds"],
    *["teacher", "log_probabilities"],
]
PLAN = np.dtype(
    [(name, np.int64) for name in SIZES + COUNTS + WEIGHTS + STREAMS + JOB]
    + [(name, np.float32) for name in ("hidden_peak", "output_peak", "temperature", "top_p")]
)


@njit(nogil=True)
def ring_slot(p, cursors, layer, back):
    """Where stream 0's input of a layer lies, `back` samples before the one in work."""
    rings = integers_at(p.rings, p.layers + 1)
    ring = rings[layer + 1] - rings[layer]
    at = cursors[layer] - back
    if at < 0:
        at += ring
    if at >= ring:
        at -= ring
    return p.history + (rings[layer] + at) * p.slot_bytes


@njit(nogil=True)
def add_product(form, weights, x, dx, base, dbase, out, dout, tile, groups, steps):
    """out = base + weights @ x, for `tile` streams."""
    if tile == 1:
        add_product_1(form, weights, x, dx, base, dbase, out, dout, groups, steps)
    else:
        add_product_n(form, weights, x, dx, base, dbase, out, dout, groups, steps)


@njit(nogil=True)
def gate_layer(form, p, cursors, b, tile, frame, layer):
    """z of one layer, for `tile` streams from b on."""
    state = p.layers * 8 * p.R
    here = b * state + layer * 8 * p.R
    x, frames = ring_slot(p, cursors, layer, 0) + b * p.history_step, p.frames + frame * p.frames_step
    z, dz, weights = p.z + (b * p.layers + layer) * p.z_step, p.layers * p.z_step, p.chain_weights + layer * p.chain_step
    if tile == 1:
        gate_1(form, weights, x, p.history_step, p.past + here, frames + here, state, z, dz, p.gate_groups, p.R_steps)
    else:
        gate_n(form, weights, x, p.history_step, p.past + here, frames + here, state, z, dz, p.gate_groups, p.R_steps)


@njit(nogil=True)
def residual_layer(form, p, cursors, b, tile, layer):
    """The input of layer + 1."""
    weights, row = p.chain_weights + layer * p.chain_step + p.residual_at, 4 * p.R
    z, dz, bias = p.z + (b * p.layers + layer) * p.z_step, p.layers * p.z_step, p.residual_bias + layer * row
    slot = ring_slot(p, cursors, layer + 1, 0) + b * p.history_step
    x, dslot = p.x + b * row, p.history_step
    if tile == 1:
        residual_1(form, weights, z, dz, x, row, bias, slot, dslot, p.residual_groups, p.R_steps)
    else:
        residual_n(form, weights, z, dz, x, row, bias, slot, dslot, p.residual_groups, p.R_steps)


@njit(nogil=True)
def skip_layer(form, p, b, tile, layer):
    """Add one layer's z to the skip sums."""
    z, dz = p.z + (b * p.layers + layer) * p.z_step, p.layers * p.z_step
    weights, sums, stride = p.skip_weights + layer * p.skip_step, p.skip + b * 4 * p.S, 4 * p.S
    base, dbase = (p.skip_bias, 0) if layer == 0 else (sums, stride)
    add_product(form, weights, z, dz, base, dbase, sums, stride, tile, p.S_groups, p.R_steps)


@njit(nogil=True)
def past_layer(form, p, cursors, b, tile, time, layer):
    """What one layer's past taps give the sample after this one."""
    sums, dsums = p.past + (b * p.layers + layer) * 8 * p.R, p.layers * 8 * p.R
    weights = p.past_weights + layer * p.past_step
    for tap in range(p.past_taps):
        back = (p.past_taps - tap) * integers_at(p.dilations, p.layers)[layer] - 1
        if time >= back:
            x, dx = ring_slot(p, cursors, layer, back) + b * p.history_step, p.history_step
            taps = weights + tap * p.past_tap_step
            add_product(form, taps, x, dx, sums, dsums, sums, dsums, tile, p.gate_groups, p.R_steps)


@njit(nogil=True)
def fetch_past(p, cursors, b, tile, layer):
    """Ask for the activations of `past_layer` in advance: they were written long ago."""
    if layer < p.layers:
        for tap in range(p.past_taps):
            back = (p.past_taps - tap) * integers_at(p.dilations, p.layers)[layer] - 1
            x = ring_slot(p, cursors, layer, back)
            for q in range(b, b + tile):
                fetch_to_read(x + q * p.history_step, p.slot_bytes)


@njit(nogil=True)
def sample_at(p, b, i):
    """A stream's i-th sample, 0 being the one before the first that is drawn."""
    return integers_at(p.samples + b * 8 * (p.num_samples + 1), p.num_samples + 1)[i]


@njit(nogil=True)
def enter(form, p, cursors, b, previous):
    """Embed the previous sample as the first layer's input."""
    slot = ring_slot(p, cursors, 0, 0) + b * p.history_step
    put(form, p.embedding + previous * 4 * p.R, p.x + b * 4 * p.R, slot, p.R)


@njit(nogil=True)
def finish(form, p, b, tile, i):
    """From the skip sums to the sample."""
    slot, row, hidden = p.slot + b * p.slot_step, 4 * p.S, p.hidden + b * 4 * p.S
    for q in range(b, b + tile):
        rectify(form, p.skip + q * row, p.slot + q * p.slot_step, p.hidden_peak, p.S)
    add_product(form, p.hidden_weights, slot, p.slot_step, p.hidden_bias, 0, hidden, row, tile, p.S_groups, p.S_steps)
    for q in range(b, b + tile):
        rectify_hidden(form, p.hidden + q * row, p.slot + q * p.slot_step, p.output_peak, p.S)
    logits, bias = p.logits + b * 4 * p.A, p.output_bias
    if tile == 1:
        add_output_1(form, p.output_weights, slot, p.slot_step, bias, 0, logits, 4 * p.A, p.A_groups, p.output_steps)
    else:
        add_output_n(form, p.output_weights, slot, p.slot_step, bias, 0, logits, 4 * p.A, p.A_groups, p.output_steps)
    for q in range(b, b + tile):
        end(form, p, q, i)


@njit(nogil=True)
def end(form, p, b, i):
    """Draw from the logits, or score the given sample."""
    logits = p.logits + b * 4 * p.A
    weights = floats_at(p.probabilities + b * 4 * p.A, p.A)
    blocks = floats_at(p.blocks + b * 4 * (p.A // BLOCK), p.A // BLOCK)
    top = largest(form, logits, p.A)
    scale = np.float32(1) if p.teacher else sharpness(p.temperature)
    exponentials(form, logits, top, scale, weights.ctypes.data, p.A)
    for k in range(p.num_classes, p.A):
        weights[k] = 0
    if p.top_p < 1 and not p.teacher:
        keep_nucleus(weights[: p.num_classes], p.top_p)
    block_sums(weights.ctypes.data, blocks.ctypes.data, p.A)
    total = np.float32(0)
    for k in range(len(blocks)):
        total += blocks[k]
    if p.teacher:
        shift = top + np.log(total)
        out = floats_at(p.log_probabilities + (b * p.num_samples + i) * 4 * p.num_classes, p.num_classes)
        given = floats_at(logits, p.A)
        for k in range(p.num_classes):
            out[k] = given[k] - shift
    else:
        u = uniform_at(seeds_at(p.seeds, b + 1)[b], p.start + i)
        integers_at(p.samples + b * 8 * (p.num_samples + 1), p.num_samples + 1)[i + 1] = pick(weights, blocks, u * total)


@njit(nogil=True)
def pick(weights, blocks, rest):
    """The smallest class whose cumulative weight is above `rest`, found through the sums of blocks."""
    block = 0
    while block < len(blocks) - 1 and rest >= blocks[block]:
        rest -= blocks[block]
        block += 1
    last = 0
    for k in range(block * BLOCK, len(weights)):
        if weights[k] > 0:
            last = k
            if rest < weights[k]:
                return k
            rest -= weights[k]
    return last


@njit(nogil=True)
def begin(p):
    """Each layer's place in its ring at the first sample."""
    rings, cursors = integers_at(p.rings, p.layers + 1), np.empty(p.layers, np.int64)
    for layer in range(p.layers):
        cursors[layer] = p.start % (rings[layer + 1] - rings[layer])
    return cursors


@njit(nogil=True)
def advance(p, cursors):
    """Move on by one sample."""
    rings = integers_at(p.rings, p.layers + 1)
    for layer in range(p.layers):
        at = cursors[layer] + 1
        cursors[layer] = 0 if at == rings[layer + 1] - rings[layer] else at


@njit(nogil=True)
def tile_at(b, last):
    """How many streams from b on go through a matrix together."""
    return TILE if b + TILE <= last else 1


@njit(nogil=True)
def run_alone(form, p, first, last):
    """All samples of the streams from `first` to before `last`.

    Each kind of matrix is read through all layers before the next kind, in the order of memory.
    """
    cursors = begin(p)
    for i in range(p.num_samples):
        time = p.start + i
        frame = time // p.hop_length - p.first_frame
        for b in range(first, last):
            enter(form, p, cursors, b, sample_at(p, b, i))
        for layer in range(p.layers):
            b = first
            while b < last:
                tile = tile_at(b, last)
                gate_layer(form, p, cursors, b, tile, frame, layer)
                if layer < p.layers - 1:
                    residual_layer(form, p, cursors, b, tile, layer)
                b += tile
        for layer in range(p.layers):
            b = first
            while b < last:
                tile = tile_at(b, last)
                fetch_past(p, cursors, b, tile, layer + AHEAD)
                past_layer(form, p, cursors, b, tile, time, layer)
                b += tile
        for layer in range(p.layers):
            b = first
            while b < last:
                tile = tile_at(b, last)
                skip_layer(form, p, b, tile, layer)
                b += tile
        b = first
        while b < last:
            tile = tile_at(b, last)
            finish(form, p, b, tile, i)
            b += tile
        advance(p, cursors)


@njit(nogil=True)
def wait_for(address, value):
    """Until a counter of the other thread reaches a value; the core is offered to others now and then.

    Returns:
        The counter, which may be further on.
    """
    turns = 0
    reached = load_acquire(address)
    while reached < value:
        for _ in range(PAUSES):
            pause()
        turns += 1
        if turns % 1024 == 0:
            give_way()
        reached = load_acquire(address)
    return reached


@njit(nogil=True)
def run_chain(form, p, share, layers_done, samples_done):
    """One stream's gates and residuals, and the past taps from layer `share` on while the sample is drawn.

    A line of memory that the other thread has read must be fetched back before it is written: so z's lines are
    asked for well before, and it is told of seldom at first, more often towards the end, for which the other waits;
    but at least every `tell_every` layers.
    """
    cursors = begin(p)
    for i in range(p.num_samples):
        time = p.start + i
        told = wait_for(samples_done, i * SAMPLE)
        enter(form, p, cursors, 0, told % SAMPLE if i else sample_at(p, 0, 0))
        frame = time // p.hop_length - p.first_frame
        for layer in range(p.layers):
            fetch_to_write(p.z + (layer + AHEAD) % p.layers * p.z_step, p.z_bytes)
            gate_layer(form, p, cursors, 0, 1, frame, layer)
            left = p.layers - 1 - layer
            if left & (left - 1) == 0 or left % p.tell_every == 0:
                store_release(layers_done, i * p.layers + layer + 1)
            if layer < p.layers - 1:
                residual_layer(form, p, cursors, 0, 1, layer)
        for layer in range(share, p.layers):
            fetch_past(p, cursors, 0, 1, layer + AHEAD)
            past_layer(form, p, cursors, 0, 1, time, layer)
        advance(p, cursors)


@njit(nogil=True)
def run_side(form, p, share, layers_done, samples_done):
    """One stream's skip sums, the past taps of the layers before `share`, and the samples."""
    cursors = begin(p)
    ready = 0
    for i in range(p.num_samples):
        time = p.start + i
        for layer in range(p.layers):
            if ready <= i * p.layers + layer:
                ready = wait_for(layers_done, i * p.layers + layer + 1)
                fetch_to_read(p.z + layer * p.z_step, (ready - i * p.layers - layer) * p.z_step)
            skip_layer(form, p, 0, 1, layer)
            if layer < share:
                past_layer(form, p, cursors, 0, 1, time, layer)
        finish(form, p, 0, 1, i)
        store_release(samples_done, (i + 1) * SAMPLE + sample_at(p, 0, i + 1))
        advance(p, cursors)


ALONE, CHAIN, SIDE = 0, 1, 2


def _entry(digest):
    @cached
    def run(form, plan, part, first, last, counters):
        """Do one thread's part of a plan.

        Args:
            form: how numbers are held, a value of a class of `simd`.
            plan: PLAN [1].
            part: ALONE for the streams from `first` to before `last`; or CHAIN or SIDE of one stream, each
                on a thread of its own, where the SIDE does the past taps of the layers before `last`.
            first: as above.
            last: as above.
            counters: int64 [32], zero: how many layers' z are there, and at [16] how many samples (see SAMPLE).
        """
        p = plan[0]
        layers_done, samples_done = counters.ctypes.data, counters.ctypes.data + 128
        if part == ALONE:
            run_alone(form, p, first, last)
        elif part == CHAIN:
            run_chain(form, p, last, layers_done, samples_done)
        else:
            run_side(form, p, last, layers_done, samples_done)
        return digest

    return run


run = _entry(sources_digest())
