"""Which code a processor gets, what LLVM makes of it, and integer arithmetic against plain numpy."""

from __future__ import annotations

import logging
import re
from dataclasses import replace

import numba
import numpy as np
import pytest
from laws import SHAPES, conditioning_for
from llvmlite import binding, ir

from speechvq.engine import cpu, cpu_kernels, cpu_loop, make_engine, simd
from speechvq.engine.cpu_fused import FusedEngine
from speechvq.engine.cpu_pack import gate_groups, in_panels, plain_groups, quantise, word_peak
from speechvq.engine.cpu_pairing import BLOCK_SECONDS, ONE_THREAD, PROBE, TOLD_OFTEN, TOLD_SELDOM, WAYS, Pairing
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

    def finish(done):
        for group, _, plus in done:
            at = simd.element(b, sums, group, 8 * form.lanes)
            for half in range(2):
                simd.store(b, plus(half, simd.constant(simd.vector(simd.F32, form.lanes), 0.0)), at, 4 * form.lanes * half)

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


@pytest.mark.parametrize(("form", "instruction"), [(simd.Int8Vnni, "vpdpbusd"), (simd.Int16Vnni, "vpdpwssd")])
def test_avx512_with_vnni_multiplies_and_adds_in_one_instruction(form, instruction):
    text = assembly(form, "cascadelake")
    assert text.count(instruction) >= PRODUCTS * simd.parts(form) and "%zmm" in text and "vpmadd" not in text


def test_vnni_takes_weights_as_the_signed_bytes():
    holds, seen = {}, 0
    for line in assembly(simd.Int8Vnni, "cascadelake").splitlines():
        name, _, operands = line.strip().partition("\t")
        registers = re.findall(r"%zmm\d+", operands)
        if "broadcast" in name and registers:
            holds[registers[-1]] = "activations"
        elif name.startswith("vmov") and registers:
            holds[registers[-1]] = "weights"
        elif name == "vpdpbusd":  # in this notation the signed operand comes first
            assert [holds[register] for register in registers[:2]] == ["weights", "activations"]
            seen += 1
    assert seen >= 2 * PRODUCTS


@pytest.mark.parametrize(
    ("form", "processor_name", "register"), [(simd.Int8Wide, "skylake-avx512", "%zmm"), (simd.Int8, "znver3", "%ymm")]
)
def test_without_vnni_two_steps_of_bytes_are_widened_together(form, processor_name, register):
    lines = [line for line in assembly(form, processor_name).splitlines() if register in line]
    bytes_, words = (sum(name in line for line in lines) for name in ("vpmaddubsw", "vpmaddwd"))
    assert words >= PRODUCTS and bytes_ == 2 * words
    assert register == "%zmm" or "%zmm" not in assembly(form, processor_name)


def panels(form: type[simd.Float32], packed: np.ndarray, groups: int, columns: int):
    """The starts, weights [rows, columns] and scales of each panel, from the bytes as the kernels read them."""
    at, lanes, parts = 0, form.lanes, simd.parts(form)
    for size in (4, 2, 1):
        while groups >= size:
            rows, cells = size * 2 * lanes, size * 2 * lanes * columns
            starts, at = packed[at : at + 4 * rows].view(np.int32), at + 4 * rows
            kind = np.int8 if form.weight_bytes == 1 else np.int16
            weights, at = packed[at : at + cells * form.weight_bytes].view(kind), at + cells * form.weight_bytes
            scales, at = packed[at : at + 4 * rows].view(np.float32), at + 4 * rows
            weights = weights.reshape(columns // form.columns, size, 2, parts, lanes, form.columns // parts)
            yield starts, weights.transpose(1, 2, 4, 0, 3, 5).reshape(rows, columns).astype(np.int64), scales
            groups -= size
    assert at == packed.size


@pytest.mark.parametrize("form", [simd.Int8, simd.Int8Wide, simd.Int16, simd.Int16Wide])
@pytest.mark.parametrize("zero", [0, 128])
def test_what_is_packed_gives_the_product(form, zero):
    rng = np.random.default_rng(0)
    count, columns = 7, 64
    matrix = rng.normal(0, 1, (count * 2 * form.lanes, columns)) * np.exp(rng.normal(0, 1, (count * 2 * form.lanes, 1)))
    x = rng.integers(0, 256, columns)
    packed = in_panels(form, quantise(form, plain_groups(matrix, len(matrix), form.lanes), zero))
    made, allowed = [], []
    for starts, weights, scales in panels(form, packed, count, columns):
        made.append((starts + weights @ x) * scales)
        allowed.append(0.51 * scales * np.abs(x - zero).sum())  # no weight is further off than half a unit
    assert (np.abs(np.concatenate(made) - matrix @ (x - zero)) < np.concatenate(allowed)).all()
    assert max(allowed[0]) < {1: 0.05, 2: 0.0005}[form.weight_bytes] * np.abs(matrix[: len(allowed[0])]).max() * np.abs(x - zero).sum()


def worst_products(form: type[simd.Int8], packed: np.ndarray, count: int, columns: int) -> tuple[int, int]:
    """The least and the largest sum that four bytes' products can have in 16 bits, whatever the activations."""
    sums = []
    for _, weights, _ in panels(form, packed, count, columns):
        steps = weights.reshape(len(weights), columns // 8, 2, 2, 2)  # a step's vectors, words, and bytes of a word
        sums += [255 * np.clip(sign * steps, 0, None).sum((2, 4)).max() * sign for sign in (-1, 1)]
    return min(sums), max(sums)


@pytest.mark.parametrize("matrix", ["noise", "ones", "steep"])
def test_no_activations_can_overflow_16_bits(matrix):
    rng = np.random.default_rng(1)
    rows = {"noise": rng.normal(0, 1, (48, 40)), "ones": -np.ones((48, 40)), "steep": np.exp(rng.normal(0, 3, (48, 40)))}[matrix]
    least, largest = worst_products(simd.Int8, in_panels(simd.Int8, quantise(simd.Int8, plain_groups(rows, 48, 8))), 3, 40)
    assert least >= -(2**15) and largest < 2**15
    assert max(-least, largest) > 2**15 * 0.95  # and the range is made use of


def test_no_activations_can_overflow_32_bits():
    rounded = quantise(simd.Int16, plain_groups(np.ones((16, 4096)), 16, 8)).groups
    peak = word_peak(rounded)
    assert 2047 * 4096 * peak < 2**31 <= 2047 * 4096 * (peak + 1)


def test_the_coarse_gate_is_near_enough_for_8_bits():
    x = np.linspace(-20, 20, 100001)
    held = np.clip(x, -simd.TANH_END, simd.TANH_END)
    above, below = (np.polyval([*reversed(c), 1], held**2) for c in (simd.TANH_NUMERATOR, simd.TANH_DENOMINATOR))
    tanh = held * above / below
    assert np.abs(tanh - np.tanh(x)).max() < 1e-4
    assert np.abs(tanh).max() < 127.4 / 127  # or the largest would become the smallest


def test_a_group_holds_tanh_and_sigmoid_rows_of_the_same_channels():
    rows = np.arange(2 * 20)[:, None]
    groups = gate_groups(rows, 32, 8)[..., 0]
    np.testing.assert_array_equal(groups[1], [np.arange(8, 16), np.arange(28, 36)])
    np.testing.assert_array_equal(groups[2], [[16, 17, 18, 19, 0, 0, 0, 0], [36, 37, 38, 39, 0, 0, 0, 0]])


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


class EmulatedWords(simd.Int16Wide):
    """512-bit vectors on a processor that has 256 bits: LLVM splits all but the product, which is split here."""


class Emulated(simd.Int8Wide):
    """The same of bytes."""

    output = EmulatedWords


NARROW = {Emulated: simd.Int8, EmulatedWords: simd.Int16}


def split_product(multiply_add, b, form, totals, weights, activations):
    """`simd.multiply_add` of a wide form in two halves."""

    def half(v, first: int):
        n = v.type.count // 2
        return b.shuffle_vector(v, v, ir.Constant(simd.vector(simd.I32, n), list(range(first * n, first * n + n))))

    halves = [multiply_add(b, NARROW[form], *([half(v, k) for v in each] for each in (totals, weights, activations))) for k in range(2)]
    return [simd.join(b, [total for half_totals in halves for total in half_totals])]


UNCACHED_RUN = numba.njit(nogil=True)(cpu_loop.run.py_func)


@needs_avx2
@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_wide_vectors_give_the_samples_of_narrow_ones(shape, monkeypatch):
    original = simd.multiply_add

    def multiply_add(b, form, *values):
        return split_product(original, b, form, *values) if form in NARROW else original(b, form, *values)

    monkeypatch.setattr(simd, "multiply_add", multiply_add)
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
@pytest.mark.parametrize("way", [TOLD_SELDOM, TOLD_OFTEN])
@pytest.mark.parametrize("shape", [SHAPES[1], SHAPES[2]], ids=lambda shape: shape.name)
def test_two_threads_give_the_samples_of_one(shape, way, monkeypatch):
    weights = random_weights(**shape.weights)
    conditioning = conditioning_for(weights, 1, 12)
    one, two = (cpu.make_cpu_engine(weights, "int8", threads) for threads in (1, 2))
    monkeypatch.setattr(Pairing, "choose", lambda self, remaining: (way, remaining))
    drawn = []
    for engine in (one, two):
        state = engine.start(1, 5)
        engine.push(state, conditioning)
        drawn.append(engine.generate(state, 12 * weights.hop_length))
    np.testing.assert_array_equal(*drawn)


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_every_form_here_draws_the_same_int8_samples(shape):
    forms = [form for form in cpu.available_forms() if form != "plain"]
    if len(forms) < 2:
        pytest.skip("this processor has one kind of vectors, or none")
    weights = random_weights(**shape.weights)
    drawn = []
    for form in forms:
        engine = cpu.make_cpu_engine(weights, "int8", 1, form)
        state = engine.start(shape.batch, 5)
        engine.push(state, conditioning_for(weights, shape.batch, shape.frames))
        drawn.append(engine.generate(state, shape.frames * weights.hop_length))
    for samples in drawn[1:]:
        np.testing.assert_array_equal(samples, drawn[0])


@pytest.mark.parametrize("fast", [TOLD_SELDOM, TOLD_OFTEN])
def test_pairing_takes_the_fastest_way_and_tries_the_others_now_and_then(fast):
    cost = dict.fromkeys(WAYS, 1e-5) | {fast: 5e-6}
    pairing, taken = Pairing(), []
    for step in range(300):
        if step == 100:  # the other core is wanted by somebody
            cost |= {TOLD_SELDOM: 1e-4, TOLD_OFTEN: 1e-4}
        way, block = pairing.choose(10**6)
        taken.append((way, block))
        pairing.record(way, block, block * cost[way])
    assert taken[: len(WAYS)] == [(way, PROBE) for way in WAYS]
    assert {way for way, block in taken[len(WAYS) : 100] if block != PROBE} == {fast}
    late = taken[105:]
    assert {way for way, block in late if block != PROBE} == {ONE_THREAD}
    trials = [way for way, block in late if block == PROBE]
    assert 2 <= len(trials) <= 8 and set(trials) == {TOLD_SELDOM, TOLD_OFTEN}


def test_blocks_last_about_as_long_whatever_the_model():
    for cost in (1e-6, 2e-5):
        pairing = Pairing()
        for way in WAYS:
            pairing.record(way, PROBE, PROBE * cost)
        assert abs(pairing.choose(10**6)[1] * cost - BLOCK_SECONDS) <= cost
    for way in WAYS:
        pairing.record(way, PROBE, 1e3)  # a machine that stood still: the next block is short again
    assert pairing.choose(10**6)[1] == PROBE


def test_pairing_leaves_short_work_to_one_thread():
    assert Pairing().choose(PROBE - 1) == (ONE_THREAD, PROBE - 1)
