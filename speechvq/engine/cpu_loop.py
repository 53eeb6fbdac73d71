"""The whole sample loop of the fused decoder, compiled once for each form and for all sizes.

A sample is three parts. The *chain*, layer after layer, is what one thread must do in order; the *side*
(skip sums, and the past taps of the next sample) follows a layer behind; the *finish* makes of the skip
sums the next sample. One thread does all; two threads share one stream as `pair_chain` and `pair_side`;
several streams go through each matrix together, `TILE` at a time.

numba's cache knows this file's date, not that of the kernels: touch it when they change.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from speechvq.engine.cpu_draw import keep_nucleus, sharpness, uniform_at
from speechvq.engine.cpu_kernels import make_add_product, make_gate, make_residual
from speechvq.engine.cpu_sync import give_way, load_acquire, pause, store_release
from speechvq.engine.cpu_vectors import BLOCK, block_sums, exponentials, largest, put, rectify, take

TILE = 4
add_product_1, add_product_n = make_add_product(1), make_add_product(TILE)
gate_1, gate_n = make_gate(1), make_gate(TILE)
residual_1, residual_n = make_residual(1), make_residual(TILE)


class Streams(NamedTuple):
    """What B streams carry from sample to sample, and the latest sample's values."""

    history: np.ndarray  # uint8 [B, slots, slot bytes]: the rings of all layers, end to end
    past: np.ndarray  # 32-bit [B, L, 2R], what the past taps give the next sample
    x: np.ndarray  # float32 [B, R]
    z: np.ndarray  # uint8 [B, L, slot bytes]
    skip_sums: np.ndarray  # 32-bit [B, S]
    sums: np.ndarray  # 32-bit [B, max(S, A)]
    skip: np.ndarray  # float32 [B, S]
    hidden: np.ndarray  # float32 [B, S]
    slot: np.ndarray  # uint8 [B, slot bytes], of skip and then hidden
    unit: np.ndarray  # float32 [B], what one unit of that slot is worth
    logits: np.ndarray  # float32 [B, A]
    probabilities: np.ndarray  # float32 [B, A]
    blocks: np.ndarray  # float32 [B, A / BLOCK]


class Job(NamedTuple):
    """What is asked for, of all B streams."""

    seeds: np.ndarray  # uint64 [B]
    temperature: float
    top_p: float
    teacher: bool
    start: int
    first_frame: int
    frames: np.ndarray  # float32 [n, B, L, 2R]
    before: np.ndarray  # [B], the sample before the first
    samples: np.ndarray  # [B, n], given or drawn
    log_probabilities: np.ndarray  # float32 [B, n, A], or of length 0


@njit(cache=True, nogil=True)
def slot_at(w, s, b, layer, time):
    """Where the layer's input of a time lies."""
    first = w.rings[layer]
    ring = np.uint64(w.rings[layer + 1] - first)
    return s.history[b, first + np.int64(np.uint64(time) % ring)].ctypes.data


@njit(cache=True, nogil=True)
def enter(form, w, s, job, b, i):
    """Embed the previous sample as the first layer's input."""
    previous = np.int64(job.before[b]) if i == 0 else np.int64(job.samples[b, i - 1])
    slot = slot_at(w, s, b, 0, job.start + i)
    put(form, w.embedding[previous].ctypes.data, s.x[b].ctypes.data, slot, w.x_scale[0], w.embedding.shape[1])


@njit(cache=True, nogil=True)
def gate_layer(form, w, s, job, b, tile, i, layer):
    """z of one layer, for `tile` streams from b on."""
    time, channels = job.start + i, w.embedding.shape[1]
    x, past, z = slot_at(w, s, b, layer, time), s.past[b, layer].ctypes.data, s.z[b, layer].ctypes.data
    frame = job.frames[time // w.hop_length - job.first_frame, b, layer].ctypes.data
    weights, scale = w.chain[layer].ctypes.data, w.gate_scale[layer].ctypes.data
    dx, dpast, dz, dframe = s.history.strides[0], s.past.strides[0], s.z.strides[0], job.frames.strides[1]
    groups, steps = 2 * channels // w.group_rows, channels // w.columns
    if tile == 1:
        gate_1(form, weights, x, dx, past, dpast, scale, frame, dframe, z, dz, w.z_scale, groups, steps)
    else:
        gate_n(form, weights, x, dx, past, dpast, scale, frame, dframe, z, dz, w.z_scale, groups, steps)


@njit(cache=True, nogil=True)
def residual_layer(form, w, s, job, b, tile, i, layer):
    """The input of layer + 1."""
    channels = w.embedding.shape[1]
    weights = w.chain[layer].ctypes.data + w.residual_at
    scale, bias = w.residual_scale[layer].ctypes.data, w.residual_bias[layer].ctypes.data
    z, x, slot = s.z[b, layer].ctypes.data, s.x[b].ctypes.data, slot_at(w, s, b, layer + 1, job.start + i)
    dz, dx, dslot = s.z.strides[0], s.x.strides[0], s.history.strides[0]
    groups, steps, x_scale = channels // w.group_rows, channels // w.columns, w.x_scale[layer + 1]
    if tile == 1:
        residual_1(form, weights, z, dz, scale, bias, x, dx, slot, dslot, x_scale, groups, steps)
    else:
        residual_n(form, weights, z, dz, scale, bias, x, dx, slot, dslot, x_scale, groups, steps)


@njit(cache=True, nogil=True)
def add_product(form, w, weights, x, dx, sums, dsums, tile, rows, columns):
    """sums += weights @ x, for `tile` streams."""
    groups, steps = rows // w.group_rows, columns // w.columns
    if tile == 1:
        add_product_1(form, weights, x, dx, sums, dsums, groups, steps)
    else:
        add_product_n(form, weights, x, dx, sums, dsums, groups, steps)


@njit(cache=True, nogil=True)
def skip_layer(form, w, s, b, tile, layer):
    """Add one layer's z to the skip sums."""
    z, sums = s.z[b, layer].ctypes.data, s.skip_sums[b].ctypes.data
    rows, columns = s.skip.shape[1], w.embedding.shape[1]
    add_product(form, w, w.skip[layer].ctypes.data, z, s.z.strides[0], sums, s.skip_sums.strides[0], tile, rows, columns)


@njit(cache=True, nogil=True)
def past_layer(form, w, s, job, b, tile, i, layer):
    """What the past taps give the sample after this one."""
    channels, taps = w.embedding.shape[1], w.past.shape[1]
    sums, dsums = s.past[b, layer].ctypes.data, s.past.strides[0]
    for tap in range(taps):
        time = job.start + i + 1 - (taps - tap) * w.dilations[layer]
        if time >= 0:
            x = slot_at(w, s, b, layer, time)
            weights = w.past[layer, tap].ctypes.data
            add_product(form, w, weights, x, s.history.strides[0], sums, dsums, tile, 2 * channels, channels)


@njit(cache=True, nogil=True)
def finish(form, w, s, job, b, tile, i):
    """From the skip sums to the sample."""
    S, A = s.skip.shape[1], s.logits.shape[1]
    slot, dslot = s.slot[b].ctypes.data, s.slot.strides[0]
    sums, dsums = s.sums[b].ctypes.data, s.sums.strides[0]
    for q in range(b, b + tile):
        skip = s.skip[q].ctypes.data
        scale, bias = w.skip_scale.ctypes.data, w.skip_bias.ctypes.data
        take(form, s.skip_sums[q].ctypes.data, scale, np.float32(1), bias, skip, S)
        s.unit[q] = rectify(form, skip, s.slot[q].ctypes.data, w.hidden_peak, S)
    add_product(form, w, w.hidden.ctypes.data, slot, dslot, sums, dsums, tile, S, S)
    for q in range(b, b + tile):
        hidden = s.hidden[q].ctypes.data
        scale, bias = w.hidden_scale.ctypes.data, w.hidden_bias.ctypes.data
        take(form, s.sums[q].ctypes.data, scale, s.unit[q], bias, hidden, S)
        s.unit[q] = rectify(form, hidden, s.slot[q].ctypes.data, w.output_peak, S)
    add_product(form, w, w.output.ctypes.data, slot, dslot, sums, dsums, tile, A, S)
    for q in range(b, b + tile):
        scale, bias = w.output_scale.ctypes.data, w.output_bias.ctypes.data
        take(form, s.sums[q].ctypes.data, scale, s.unit[q], bias, s.logits[q].ctypes.data, A)
        end(form, w, s, job, q, i)


@njit(cache=True, nogil=True)
def end(form, w, s, job, b, i):
    """Draw from the logits, or score the given sample."""
    logits, p, size = s.logits[b].ctypes.data, s.probabilities[b], s.logits.shape[1]
    top = largest(form, logits, size)
    scale = np.float32(1) if job.teacher else sharpness(job.temperature)
    exponentials(form, logits, top, scale, p.ctypes.data, size)
    p[w.num_classes :] = 0
    if job.top_p < 1 and not job.teacher:
        keep_nucleus(p[: w.num_classes], np.float32(job.top_p))
    blocks = s.blocks[b]
    block_sums(p.ctypes.data, blocks.ctypes.data, size)
    total = np.float32(0)
    for k in range(len(blocks)):
        total += blocks[k]
    if job.teacher:
        shift = top + np.log(total)
        for k in range(w.num_classes):
            job.log_probabilities[b, i, k] = s.logits[b, k] - shift
    else:
        job.samples[b, i] = pick(p, blocks, uniform_at(job.seeds[b], job.start + i) * total)


@njit(cache=True, nogil=True)
def pick(p, blocks, rest):
    """The smallest class whose cumulative probability is above `rest`, found through the sums of blocks."""
    block = 0
    while block < len(blocks) - 1 and rest >= blocks[block]:
        rest -= blocks[block]
        block += 1
    last = 0
    for k in range(block * BLOCK, len(p)):
        if p[k] > 0:
            last = k
            if rest < p[k]:
                return k
            rest -= p[k]
    return last


@njit(cache=True, nogil=True)
def run(form, w, s, job, first, count):
    """All samples of `count` streams from `first` on, on one thread."""
    layers = len(w.dilations)
    for i in range(job.samples.shape[1]):
        for b in range(first, first + count):
            enter(form, w, s, job, b, i)
        for layer in range(layers):
            b = first
            while b < first + count:
                tile = TILE if b + TILE <= first + count else 1
                gate_layer(form, w, s, job, b, tile, i, layer)
                if layer < layers - 1:
                    residual_layer(form, w, s, job, b, tile, i, layer)
                skip_layer(form, w, s, b, tile, layer)
                past_layer(form, w, s, job, b, tile, i, layer)
                b += tile
        b = first
        while b < first + count:
            tile = TILE if b + TILE <= first + count else 1
            finish(form, w, s, job, b, tile, i)
            b += tile


@njit(cache=True, nogil=True)
def wait_for(address, value):
    """Until a counter of the other thread reaches a value; the core is offered to others now and then."""
    turns = 0
    while load_acquire(address) < value:
        pause()
        turns += 1
        if turns % 4096 == 0:
            give_way()


@njit(cache=True, nogil=True)
def run_pair(form, w, s, job, side, share, counters):
    """One stream on two threads: called by one with side = False, by the other with side = True.

    Args:
        side: which part this thread does.
        share: of how many layers the side does the past taps; the chain does the others' while it waits.
        counters: int64, zero: [0] layers whose z is there, [16] samples that are there.
    """
    layers = len(w.dilations)
    layers_done, samples_done = counters.ctypes.data, counters.ctypes.data + 128
    for i in range(job.samples.shape[1]):
        if side:
            for layer in range(layers):
                wait_for(layers_done, i * layers + layer + 1)
                skip_layer(form, w, s, 0, 1, layer)
                if layer < share:
                    past_layer(form, w, s, job, 0, 1, i, layer)
            finish(form, w, s, job, 0, 1, i)
            store_release(samples_done, i + 1)
        else:
            wait_for(samples_done, i)
            enter(form, w, s, job, 0, i)
            for layer in range(layers):
                gate_layer(form, w, s, job, 0, 1, i, layer)
                store_release(layers_done, i * layers + layer + 1)
                if layer < layers - 1:
                    residual_layer(form, w, s, job, 0, 1, i, layer)
            for layer in range(share, layers):
                past_layer(form, w, s, job, 0, 1, i, layer)
