"""Which code a processor gets, what LLVM makes of it, and integer arithmetic against plain numpy."""

from __future__ import annotations

import logging
from dataclasses import replace

import numba
import numpy as np
import pytest
from laws import SHAPES, conditioning_for
from llvmlite import binding, ir

from speechvq.engine import cpu, cpu_kernels, cpu_loop, make_engine, simd
from speechvq.engine.cpu_fused import FusedEngine
from speechvq.engine.cpu_pack import gate_groups, in_panels, pack, plain_groups, quantise
from speechvq.engine.cpu_pairing import BLOCK, PROBE, Pairing
from speechvq.engine.weights import DecoderWeights, random_weights
from speechvq.errors import BackendUnavailable, InputError

needs_avx2 = pytest.mark.skipif("avx2" not in cpu.available_forms(), reason="this processor has no AVX2")


@pytest.fixture(autouse=True)
def no_forced_form(monkeypatch):
    monkeypatch.delenv(cpu.FORM_VARIABLE, raising=False)


def processor(monkeypatch, *features: str, machine: str = "x86_64") -> None:
    monkeypatch.setattr(binding, "get_host_cpu_features", lambda: dict.fromkeys(features, True))
    monkeypatch.setattr("platform.machine", lambda: machine)


AVX2 = ("avx2", "fma", "f16c")


@pytest.mark.parametrize(
    ("features", "machine", "forms"),
    [
        (("sse4.2",), "x86_64", ("plain",)),
        (AVX2, "x86_64", ("avx2", "plain")),
        ((*AVX2, "avx512f"), "x86_64", ("avx2", "plain")),
        ((*AVX2, "avx512f", "avx512bw", "avx512vl"), "AMD64", ("avx512", "avx2", "plain")),
        ((*AVX2, "avx512f", "avx512bw", "avx512vl", "avx512vnni"), "x86_64", ("avx512vnni", "avx512", "avx2", "plain")),
        ((), "aarch64", ("plain",)),
    ],
)
def test_forms_follow_the_processor(monkeypatch, features, machine, forms):
    processor(monkeypatch, *features, machine=machine)
    assert cpu.available_forms() == forms


def test_other_processors_get_plain_loops(monkeypatch, caplog):
    processor(monkeypatch, machine="aarch64")
    with caplog.at_level(logging.INFO):
        assert make_engine(random_weights(), "cpu", threads=1).precision == "float32"
    assert "plain code, float32" in caplog.text
    with pytest.raises(BackendUnavailable, match="int8: it needs AVX2"):
        make_engine(random_weights(), "cpu", "int8")


def test_a_precision_of_the_gpu_is_refused():
    with pytest.raises(BackendUnavailable, match="tensor16 is a precision of the cuda backend"):
        make_engine(random_weights(), "cpu", "tensor16")


def test_a_form_can_be_forced(monkeypatch):
    assert type(cpu.make_cpu_engine(random_weights(), form="plain")).__name__ == "PlainEngine"
    monkeypatch.setenv(cpu.FORM_VARIABLE, "plain")
    assert type(make_engine(random_weights(), "cpu")).__name__ == "PlainEngine"
    with pytest.raises(InputError, match="no form 'sse'"):
        cpu.make_cpu_engine(random_weights(), form="sse")
    with pytest.raises(InputError, match="threads"):
        cpu.make_cpu_engine(random_weights(), threads=0)
    processor(monkeypatch, *AVX2)
    with pytest.raises(BackendUnavailable, match="no avx512"):
        cpu.make_cpu_engine(random_weights(), form="avx512")


def assembly(form: type[simd.Float32], processor_name: str) -> str:
    """What LLVM makes of the whole product, for a named processor."""
    module = ir.Module()
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [simd.I64] * 5), "product")
    b = ir.IRBuilder(function.append_basic_block())
    weights, x, sums, groups, steps = function.args

    def finish(group, stream, low, high):
        for half, part in enumerate((low, high)):
            at = simd.element(b, sums, group, 8 * form.lanes)
            simd.store(b, part, at, 4 * form.lanes * half)

    cpu_kernels.Product(b, form, 1).run(weights, [x], groups, steps, finish)
    b.ret_void()
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    target = binding.Target.from_triple("x86_64-unknown-linux-gnu").create_target_machine(cpu=processor_name, opt=3)
    parsed = binding.parse_assembly(str(module))
    passes = binding.create_pass_builder(target, binding.create_pipeline_tuning_options(speed_level=3))
    passes.getModulePassManager().run(parsed, passes)
    return target.emit_assembly(parsed)


PRODUCTS = 2 * (4 + 2 + 1)  # in a step of panels of 4, 2 and 1 groups


def test_avx512_with_vnni_multiplies_and_adds_in_one_instruction():
    text = assembly(simd.Int8Vnni, "cascadelake")
    assert text.count("vpdpwssd") >= PRODUCTS and "%zmm" in text and "vpmaddwd" not in text


def test_avx512_without_vnni_and_avx2_take_two():
    wide, narrow = assembly(simd.Int8Wide, "skylake-avx512"), assembly(simd.Int8, "znver3")
    for text in (wide, narrow):
        assert text.count("vpmaddwd") >= PRODUCTS and text.count("vpaddd") >= PRODUCTS
    assert "%zmm" in wide and "%zmm" not in narrow and "%ymm" in narrow


@pytest.mark.parametrize("form", [simd.Int8, simd.Int8Wide])
def test_two_int8_rows_in_a_lane_give_exact_sums(form):
    """The kernels' arithmetic, done by numpy on the packed bytes, modulo 2^32 as the registers have it."""
    rng = np.random.default_rng(0)
    rows, columns, lanes = 6 * 2 * form.lanes, 64, form.lanes  # panels of 4 and of 2 groups
    matrix = rng.integers(-127, 128, (rows, columns))
    x = rng.integers(-32767, 32768, columns)
    lane = in_panels(form, plain_groups(matrix, rows, lanes), columns).view(np.int16)
    sums, first = [], 0
    for size in (4, 2):
        count = size * columns * lanes
        panel = lane[first : first + count].reshape(columns // 2, size, lanes, 2).astype(np.int64)
        first += count
        pairs = x.reshape(columns // 2, 1, 1, 2)
        both, high = (panel * pairs).sum((0, 3)), ((panel >> 8) * pairs).sum((0, 3))
        low = both.astype(np.uint32).astype(np.int64) - (high << 8) - 128 * x.sum()
        sums += [row for g in range(size) for row in (low[g], high[g])]
    np.testing.assert_array_equal(np.concatenate(sums).astype(np.uint32), (matrix @ x).astype(np.uint32))


def test_a_group_holds_tanh_and_sigmoid_rows_of_the_same_channels():
    rows = np.arange(2 * 20)[:, None]
    groups = gate_groups(rows, 32, 8)[..., 0]
    np.testing.assert_array_equal(groups[1], [np.arange(8, 16), np.arange(28, 36)])
    np.testing.assert_array_equal(groups[2], [[16, 17, 18, 19, 0, 0, 0, 0], [36, 37, 38, 39, 0, 0, 0, 0]])


def test_no_input_can_overflow_a_sum():
    weights = random_weights(num_layers=40, residual_channels=96, skip_channels=64)
    groups = plain_groups(np.sign(weights.skip) * 3, 64, 8)  # all of one size: the largest sums there can be
    rounded, scale, peak = quantise(simd.Int8, groups)
    assert np.abs(rounded).max() == 127 and np.allclose(rounded * scale[..., None], groups)
    assert 127 * 40 * 96 * peak < 2**31 <= 127 * 40 * 96 * (peak + 1)


@needs_avx2
def test_rounding_an_uneven_output_matrix_costs_int8_little():
    weights = random_weights(num_layers=3, residual_channels=16, skip_channels=16)
    rng = np.random.default_rng(0)
    loud = np.exp(rng.normal(0, 1, 16)).astype(np.float32)  # hidden units of uneven size
    common = rng.normal(0, 20, 16).astype(np.float32)  # and columns that say nearly the same of every class
    uneven = replace(weights, hidden=weights.hidden / loud[:, None], output=weights.output * loud + common)
    conditioning = rng.normal(0, 0.3, (1, 3, 32, 2)).astype(np.float32)
    classes = rng.integers(0, weights.num_classes, (1, 2 * weights.hop_length)).astype(weights.sample_dtype)

    def error(of: DecoderWeights) -> float:
        scores = []
        for engine in (make_engine(of, "reference"), make_engine(of, "cpu", "int8")):
            state = engine.start(1, 0)
            engine.push(state, conditioning)
            scores.append(engine.score(state, classes))
        return np.sqrt(np.mean((scores[0] - scores[1]) ** 2))

    assert error(uneven) < 2 * error(weights)


def test_the_scale_of_every_layers_input_covers_the_largest_there_can_be():
    weights = random_weights(num_layers=6, residual_channels=16, skip_channels=16)
    units = pack(weights, simd.Int8).x_scale
    x = np.abs(weights.embedding).max()
    for layer in range(6):
        assert x * units[layer] <= 32767
        if layer < 5:
            x += (np.abs(weights.residual[layer]).sum(1) + np.abs(weights.residual_bias[layer])).max()
            x = min(x, 32767 / units[layer + 1])  # per channel the bound is tighter than this sum of maxima


class Emulated(simd.Int8Wide):
    """512-bit vectors on a processor that has 256 bits: LLVM splits all but the product, which is split here."""


def split_product(b, form, total, weights, activations):
    """`simd.multiply_add` of a wide form in two halves."""
    halves = []
    for first in (0, 8):
        parts = [
            b.shuffle_vector(v, v, ir.Constant(simd.vector(simd.I32, n), list(range(first * n // 8, first * n // 8 + n))))
            for v, n in ((weights, 16), (activations, 16))
        ]
        halves.append(simd.call(b, simd.Int8.pair_product, simd.vector(simd.I32, 8), *parts))
    return b.add(total, b.shuffle_vector(*halves, ir.Constant(simd.vector(simd.I32, 16), list(range(16)))))


UNCACHED_RUN = numba.njit(nogil=True)(cpu_loop.run.py_func)


@needs_avx2
@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_wide_vectors_give_the_samples_of_narrow_ones(shape, monkeypatch):
    original = simd.multiply_add
    monkeypatch.setattr(simd, "multiply_add", lambda b, form, *v: (split_product if form is Emulated else original)(b, form, *v))
    # Compiled apart: the cache on disk must not hold a class that other processes cannot import.
    monkeypatch.setattr(cpu_loop, "run", UNCACHED_RUN)
    weights = random_weights(**shape.weights)
    drawn = []
    for form in (simd.Int8, Emulated):
        engine = FusedEngine(weights, form, threads=1)
        state = engine.start(shape.batch, 5)
        engine.push(state, conditioning_for(weights, shape.batch, shape.frames))
        drawn.append(engine.generate(state, shape.frames * weights.hop_length))
    np.testing.assert_array_equal(*drawn)


@needs_avx2
@pytest.mark.parametrize("shape", [SHAPES[1], SHAPES[2]], ids=lambda shape: shape.name)
def test_two_threads_give_the_samples_of_one(shape, monkeypatch):
    weights = random_weights(**shape.weights)
    conditioning = conditioning_for(weights, 1, 12)
    one, two = (cpu.make_cpu_engine(weights, "int8", threads, "avx2") for threads in (1, 2))
    monkeypatch.setattr(Pairing, "choose", lambda self, remaining: (True, remaining))
    drawn = []
    for engine in (one, two):
        state = engine.start(1, 5)
        engine.push(state, conditioning)
        drawn.append(engine.generate(state, 12 * weights.hop_length))
    np.testing.assert_array_equal(*drawn)


def test_pairing_takes_the_faster_way_and_tries_the_other_now_and_then():
    cost = {False: 1.0, True: 0.5}
    pairing, taken = Pairing(), []
    for step in range(200):
        if step == 100:
            cost[True] = 10.0  # the other core is wanted by somebody
        pair, block = pairing.choose(10**6)
        taken.append((pair, block))
        pairing.record(pair, block, block * cost[pair])
    assert [block for _, block in taken[:2]] == [PROBE, PROBE] and {pair for pair, _ in taken[:2]} == {False, True}
    assert all(pair for pair, block in taken[2:100] if block == BLOCK)
    late = taken[102:]
    assert not any(pair for pair, block in late if block == BLOCK)
    assert 1 <= sum(block == PROBE for _, block in late) <= 5


def test_pairing_leaves_short_work_to_one_thread():
    assert Pairing().choose(PROBE - 1) == (False, PROBE - 1)
