// Incremental WaveNet: a cluster of BLOCKS blocks keeps the weights on chip and draws the samples of STREAMS streams.
//
// How a sample travels. The rows of every matrix are dealt out to the blocks; a block multiplies its rows with the
// whole activation vector, which it therefore needs from all the others. So each product ends in an exchange: every
// block pushes its few results straight into the shared memory of all blocks (st.async), each store counted by an
// mbarrier at its destination, and waits until its own vector is whole. A layer is: gate product, exchange of the
// gated values z, residual product, exchange of the next layer's input x. FOLDED saves the second exchange: with
// now[l] residual[l-1] multiplied in advance, the gate needs only z and x of the layer before, so x travels along.
//
// Whatever is not needed for the next exchange is done while that exchange is under way: the skip product, and the
// past taps. The past taps' weights are applied to x as soon as x is known, and the product, not x, waits in a ring in
// device memory for the sample where it is due: there it is one addition, fetched a layer ahead.
//
// Why nothing is overwritten too early: a block's push of exchange e + 1 says that it has received exchange e, and a
// barrier turns only when every warp of its block has arrived as well, which it does after its last read of the
// exchange before. So a push of e + 3 can only land after all reads of e; no buffer is reused sooner.
//
// Macros: LAYERS RESIDUAL SKIP LOGITS (padded; CLASSES of them real) TAPS (past taps) HOP BLOCKS THREADS STREAMS
// HALF (float16 weights) TENSOR FOLDED RESIDENT (0: weights stay in L2, 1: those on the path on chip, 2: all)
// DILATIONS, RING_STARTS (lists of LAYERS), RING_SLOTS (their sum), SHARED_BYTES.
#include "device.h"
#include "draw.h"
#include "product.h"

using Past = Product<2 * RESIDUAL / BLOCKS, RESIDUAL>;
using Gate = Product<2 * RESIDUAL / BLOCKS, FOLDED ? 2 * Past::STEPS * SPAN : RESIDUAL>;
using Residual = Product<RESIDUAL / BLOCKS, RESIDUAL>;
using Skip = Product<SKIP / BLOCKS, RESIDUAL>;
using Hidden = Product<SKIP / BLOCKS, SKIP>;
using Output = Product<LOGITS / BLOCKS, SKIP>;
static_assert(BLOCKS == 1 || !TENSOR, "tensor cores serve one block");

template <bool SMALL> struct SampleOf { typedef u8 type; };
template <> struct SampleOf<false> { typedef u16 type; };
typedef SampleOf<CLASSES <= 256>::type Sample;

enum { RESIDUALS = LAYERS > 1 ? LAYERS - 1 : 1 };           // the last layer has no residual product
struct Near {                                               // a block's weights on the path from sample to sample
  Quad gate[LAYERS][Gate::QUADS], residual[RESIDUALS][Residual::QUADS], hidden[Hidden::QUADS], output[Output::QUADS];
  alignas(16) float residual_bias[RESIDUALS][Residual::ROWS], skip_bias[Skip::ROWS], hidden_bias[Hidden::ROWS],
      output_bias[Output::ROWS];
};
struct Far { Quad past[LAYERS][TAPS][Past::QUADS], skip[LAYERS][Skip::QUADS]; };  // and those beside it
struct Weights { Near near; Far far; };

struct Run {                                                // the one argument; mirrored by cuda_layout.Run
  const Weights *weights;                                   // [BLOCKS]
  const float *embedding;                                   // [CLASSES][RESIDUAL]
  const float *conditioning;                                // [frames][streams][LAYERS][2 RESIDUAL], rows as packed
  float *rings;                                             // [streams, padded][RING_SLOTS][2 RESIDUAL], rows as packed
  const u64 *seeds;                                         // [streams]
  const Sample *previous;                                   // [streams]: the class before this run's first sample
  const Sample *given;                                      // null, or [streams][samples]: follow these, draw nothing
  Sample *audio;                                            // [streams][samples]
  float *logits;                                            // null, or [streams][samples][CLASSES]
  float *taps;                                              // [streams, padded][TAPS_SIZE]: of this run's last sample
  u32 streams, samples, time, first_frame;                  // time: of the first sample; first_frame: of conditioning
  float sharpness, top_p;                                   // 1 / temperature; the nucleus's mass
};

enum { GATED_TAPS = 0, INPUT_TAPS = LAYERS * RESIDUAL, SKIP_TAPS = 2 * LAYERS * RESIDUAL, HIDDEN_TAPS = SKIP_TAPS + SKIP,
       LOGIT_TAPS = HIDDEN_TAPS + SKIP, TAPS_SIZE = LOGIT_TAPS + LOGITS };

DEVICE_TABLE int DILATION[LAYERS] = {DILATIONS};
DEVICE_TABLE int RING_START[LAYERS] = {RING_STARTS};

// An activation vector for each stream, ready to be multiplied: rows of the width that its product reads.
template <class P> struct Vector { alignas(16) Activation at[STREAMS][P::WIDTH]; };

enum { GATED, STATE, SKIPPED, HID, DECIDED, EXCHANGES };    // folded layers use the first two in turn
struct Shared {
#if RESIDENT >= 1
  Near near;
#endif
#if RESIDENT >= 2
  Far far;
#endif
#if FOLDED
  Vector<Gate> state[4];                                    // z of a layer, then its input x: the next gate's operand
#else
  Vector<Past> x[2];
  Vector<Residual> z[2];
#endif
  Vector<Hidden> skipped;
  Vector<Output> hidden;
  alignas(16) float logits[STREAMS][LOGITS], chances[STREAMS][LOGITS];
  u32 drawn[STREAMS];
#if BLOCKS > 1
  Arrival arrivals[EXCHANGES];
#endif
};
static_assert(sizeof(Shared) == SHARED_BYTES, "cuda_layout.py and the kernel disagree on shared memory");

// This thread's end of the exchanges.
struct Exchange {
#if BLOCKS == 1
  DEVICE void open() {}
  template <class T> DEVICE void give(T *at, float v, int) {
    if (thread() % LANES == 0) store(at, v);
  }
  template <class T> DEVICE void give(T *at, float v, float w, int) {
    if (thread() % LANES) return;
    store(at, v);
    store(at + 1, w);
  }
  DEVICE void take(int, int) { block_sync(); }
#else
  Arrival *arrivals;
  u32 phases = 0;                                           // bit k: the phase that arrival k is in
  DEVICE void open() {
    if (thread() < EXCHANGES) arrival_init(arrivals + thread(), WARPS);
  }
  // The lanes that share a result share its deliveries too.
  DEVICE void give(float *at, float v, int k) {
    for (int to = thread() % LANES; to < BLOCKS; to += LANES) push(at, v, arrivals + k, to);
  }
  DEVICE void give(float *at, float v, float w, int k) {
    for (int to = thread() % LANES; to < BLOCKS; to += LANES) push((Pair *)at, Pair{{v, w}}, arrivals + k, to);
  }
  DEVICE void take(int k, int floats) {                     // arrive as a warp, then wait for all warps and all floats
    warp_sync();
    if (thread() == 0) arrival_expect(arrivals + k, floats * 4);
    else if (thread() % 32 == 0) arrival_arrive(arrivals + k);
    arrival_wait(arrivals + k, phases >> k & 1);
    phases ^= 1u << k;
  }
#endif
};

// What a gate adds to its product at one sample and layer: the conditioning, and what the past taps left in the ring.
struct Due { float sum[Gate::SLOTS][2]; };

struct Decoder {
  const Run &run;
  Shared &s;
  const Near &near;
  const Far &far;
  Exchange exchange;
  u32 block, first;                                         // this block's rank; its cluster's first stream
  float own[Residual::SLOTS][2];                            // this lane's elements of the current layer's input x
  float skips[Skip::SLOTS][2];                              // and of the skip sum, still in parts
  Due due;
  bool last;                                                // the run's last sample, whose taps are kept

  DEVICE void tap(int stream, int at, float v) const {
    if (last && thread() % LANES == 0) run.taps[(u64)(first + stream) * TAPS_SIZE + at] = v;
  }
  DEVICE u32 reachable(int stream) const { return first + stream < run.streams ? first + stream : run.streams - 1; }

  // The ring of a layer has TAPS x dilation slots; the product of tap k is due (k + 1) x dilation samples on.
  DEVICE Pair *ring(int layer, u32 time, Place p) const {
    const u32 slot = RING_START[layer] + time % (u32)(TAPS * DILATION[layer]);
    return (Pair *)(run.rings + (((u64)(first + p.stream) * RING_SLOTS + slot) * BLOCKS + block) * Past::ROWS) + p.pair;
  }
  DEVICE void fetch(int layer, u32 time) {
    UNROLL for (int slot = 0; slot < Gate::SLOTS; slot++) {
      const Place p = Gate::place(slot);
      due.sum[slot][0] = due.sum[slot][1] = 0.f;
      if (!p.valid || thread() % LANES) continue;           // the first of the lanes brings it into their sum
      const u32 frame = time / HOP - run.first_frame;
      const Pair past = *ring(layer, time, p);
      const Pair local = *((const Pair *)(run.conditioning + ((((u64)frame * run.streams + reachable(p.stream)) * LAYERS
                                                               + layer) * BLOCKS + block) * Past::ROWS) + p.pair);
      due.sum[slot][0] = local.at[0] + past.at[0];
      due.sum[slot][1] = local.at[1] + past.at[1];
    }
  }
  DEVICE void remember(int layer, u32 time, const Activation *x, int width) {
    UNROLL for (int tap = TAPS - 1; tap >= 0; tap--) {      // the oldest first: its slot is the one just consumed
      float sum[Past::SLOTS][2] = {};
      Past::accumulate(far.past[layer][tap], x, width, sum);
      Past::reduce(sum);
      UNROLL for (int slot = 0; slot < Past::SLOTS; slot++) {
        const Place p = Past::place(slot);
        if (!p.valid || thread() % LANES) continue;
        Pair *to = ring(layer, time + (tap + 1) * DILATION[layer], p);
        const Pair before = tap == TAPS - 1 ? Pair{{0.f, 0.f}} : *to;
        *to = Pair{{before.at[0] + sum[slot][0], before.at[1] + sum[slot][1]}};
      }
    }
  }
  DEVICE void add_skip(int layer, const Activation *z, int width) { Skip::accumulate(far.skip[layer], z, width, skips); }

  // z = tanh(filter) sigmoid(gate) of this block's rows, into every block's vector `to`.
  DEVICE void gate(int layer, const Activation *x, int width, Activation *to, int to_width, int arrival) {
    Gate::accumulate(near.gate[layer], x, width, due.sum);
    Gate::reduce(due.sum);
    UNROLL for (int slot = 0; slot < Gate::SLOTS; slot++) {
      const Place p = Gate::place(slot);
      if (!p.valid) continue;
      const float z = gated(due.sum[slot][0], due.sum[slot][1]);
      const int row = block * Gate::PAIRS + p.pair;
      exchange.give(to + p.stream * to_width + row, z, arrival);
      tap(p.stream, GATED_TAPS + layer * RESIDUAL + row, z);
    }
  }
  // x of the next layer: this block's elements grow by the residual product of z.
  DEVICE void grow(int layer, const Activation *z, int width) {
    float sum[Residual::SLOTS][2] = {};
    Residual::accumulate(near.residual[layer], z, width, sum);
    Residual::reduce(sum);
    UNROLL for (int slot = 0; slot < Residual::SLOTS; slot++) {
      const Place p = Residual::place(slot);
      if (!p.valid) continue;
      own[slot][0] = own[slot][0] + (sum[slot][0] + near.residual_bias[layer][2 * p.pair]);
      own[slot][1] = own[slot][1] + (sum[slot][1] + near.residual_bias[layer][2 * p.pair + 1]);
    }
  }
  DEVICE void tap_own(int layer) const {
    UNROLL for (int slot = 0; slot < Residual::SLOTS; slot++) {
      const Place p = Residual::place(slot);
      const int at = INPUT_TAPS + layer * RESIDUAL + block * Residual::ROWS + 2 * p.pair;
      if (p.valid) tap(p.stream, at, own[slot][0]), tap(p.stream, at + 1, own[slot][1]);
    }
  }
  DEVICE void give_own(Activation *to, int width, int arrival) {
    UNROLL for (int slot = 0; slot < Residual::SLOTS; slot++) {
      const Place p = Residual::place(slot);
      if (!p.valid) continue;
      exchange.give(to + p.stream * width + block * Residual::ROWS + 2 * p.pair, own[slot][0], own[slot][1], arrival);
    }
  }
  // Begin a sample: the embedding of the class before it is layer 0's input, whole in every block.
  DEVICE void embed(Activation *x, int width) {
    for (int i = thread(); i < STREAMS * RESIDUAL; i += THREADS)
      store(x + i / RESIDUAL * width + i % RESIDUAL, run.embedding[s.drawn[i / RESIDUAL] * RESIDUAL + i % RESIDUAL]);
    UNROLL for (int slot = 0; slot < Residual::SLOTS; slot++) {
      const Place p = Residual::place(slot);
      if (!p.valid) continue;
      const float *e = run.embedding + s.drawn[p.stream] * RESIDUAL + block * Residual::ROWS + 2 * p.pair;
      own[slot][0] = e[0];
      own[slot][1] = e[1];
    }
    UNROLL for (int slot = 0; slot < Skip::SLOTS; slot++) {
      const Place p = Skip::place(slot);
      const bool bears = p.valid && thread() % LANES == 0;
      skips[slot][0] = bears ? near.skip_bias[2 * p.pair] : 0.f;
      skips[slot][1] = bears ? near.skip_bias[2 * p.pair + 1] : 0.f;
    }
    block_sync();
  }

#if FOLDED
  // state[l % 4] holds z of layer l - 1 and, after it, that layer's input: all that the gate of layer l needs.
  DEVICE void layers(u32 time) {
    enum { Z = 0, X = Gate::WIDTH / 2, WIDTH = Gate::WIDTH };
    for (int i = thread(); i < STREAMS * RESIDUAL; i += THREADS) s.state[0].at[i / RESIDUAL][Z + i % RESIDUAL] = 0;
    embed(&s.state[0].at[0][X], WIDTH);
    ROLLED for (int l = 0; l < LAYERS; l++) {
      const Activation *from = s.state[l % 4].at[0];
      Activation *to = s.state[(l + 1) % 4].at[0];
      gate(l, from, WIDTH, to + Z, WIDTH, l % 2);
      if (l) grow(l - 1, from + Z, WIDTH);
      if (last) tap_own(l);
      give_own(to + X, WIDTH, l % 2);
      if (l + 1 < LAYERS) fetch(l + 1, time);               // from here on while the exchange is under way
      if (l) {
        add_skip(l - 1, from + Z, WIDTH);
        remember(l - 1, time, from + X, WIDTH);
      }
      exchange.take(l % 2, 2 * STREAMS * RESIDUAL);
    }
    const Activation *final = s.state[LAYERS % 4].at[0];
    add_skip(LAYERS - 1, final + Z, WIDTH);
    give_skips();
    remember(LAYERS - 1, time, final + X, WIDTH);
    if (!last) fetch(0, time + 1);
  }
#else
  DEVICE void layers(u32 time) {
    embed(s.x[0].at[0], Past::WIDTH);
    ROLLED for (int l = 0; l < LAYERS; l++) {
      const Activation *x = s.x[l % 2].at[0], *z = s.z[l % 2].at[0];
      if (last) tap_own(l);
      gate(l, x, Past::WIDTH, s.z[l % 2].at[0], Residual::WIDTH, GATED);
      remember(l, time, x, Past::WIDTH);                    // while the exchange is under way
      if (l + 1 < LAYERS) fetch(l + 1, time);
      else if (!last) fetch(0, time + 1);
      exchange.take(GATED, STREAMS * RESIDUAL);
      if (l + 1 < LAYERS) {
        grow(l, z, Residual::WIDTH);
        give_own(s.x[(l + 1) % 2].at[0], Past::WIDTH, STATE);
      }
      add_skip(l, z, Residual::WIDTH);                      // again
      if (l + 1 < LAYERS) exchange.take(STATE, STREAMS * RESIDUAL);
    }
    give_skips();
  }
#endif

  DEVICE void give_skips() {
    Skip::reduce(skips);
    UNROLL for (int slot = 0; slot < Skip::SLOTS; slot++) {
      const Place p = Skip::place(slot);
      if (!p.valid) continue;
      const int row = block * Skip::ROWS + 2 * p.pair;
      exchange.give(&s.skipped.at[p.stream][row], rectified(skips[slot][0]), rectified(skips[slot][1]), SKIPPED);
      tap(p.stream, SKIP_TAPS + row, skips[slot][0]);
      tap(p.stream, SKIP_TAPS + row + 1, skips[slot][1]);
    }
  }
  DEVICE static float rectified(float v) { return v > 0 ? v : 0.f; }

  DEVICE void head() {
    exchange.take(SKIPPED, STREAMS * SKIP);
    float sum[Hidden::SLOTS][2] = {};
    Hidden::accumulate(near.hidden, s.skipped.at[0], Hidden::WIDTH, sum);
    Hidden::reduce(sum);
    UNROLL for (int slot = 0; slot < Hidden::SLOTS; slot++) {
      const Place p = Hidden::place(slot);
      if (!p.valid) continue;
      const int row = block * Hidden::ROWS + 2 * p.pair;
      const float a = rectified(sum[slot][0] + near.hidden_bias[2 * p.pair]);
      const float b = rectified(sum[slot][1] + near.hidden_bias[2 * p.pair + 1]);
      exchange.give(&s.hidden.at[p.stream][row], a, b, HID);
      tap(p.stream, HIDDEN_TAPS + row, a);
      tap(p.stream, HIDDEN_TAPS + row + 1, b);
    }
    exchange.take(HID, STREAMS * SKIP);
    float out[Output::SLOTS][2] = {};
    Output::accumulate(near.output, s.hidden.at[0], Output::WIDTH, out);
    Output::reduce(out);
    UNROLL for (int slot = 0; slot < Output::SLOTS; slot++) {
      const Place p = Output::place(slot);
      if (!p.valid) continue;
      const int row = block * Output::ROWS + 2 * p.pair;
      const float a = out[slot][0] + near.output_bias[2 * p.pair], b = out[slot][1] + near.output_bias[2 * p.pair + 1];
      exchange.give(&s.logits[p.stream][row], a, b, DECIDED);
      tap(p.stream, LOGIT_TAPS + row, a);
      tap(p.stream, LOGIT_TAPS + row + 1, b);
    }
    exchange.take(DECIDED, STREAMS * LOGITS);
  }

  // Every block draws every sample for itself: cheaper than one more exchange.
  DEVICE void draw(u32 sample) {
    for (int g = thread() / 32; g < STREAMS; g += WARPS) weigh(s.logits[g], s.chances[g], run.sharpness);
    if (run.logits && block == 0)
      for (int i = thread(); i < STREAMS * CLASSES; i += THREADS)
        if (first + i / CLASSES < run.streams)
          run.logits[((u64)(first + i / CLASSES) * run.samples + sample) * CLASSES + i % CLASSES] =
              s.logits[i / CLASSES][i % CLASSES];
    const bool nucleus = run.top_p < 1.f;
    if (nucleus) {
      block_sync();                                         // the logits are spent: their place takes the nucleus
      for (int i = thread(); i < STREAMS * LOGITS; i += THREADS)
        s.logits[i / LOGITS][i % LOGITS] = kept(s.chances[i / LOGITS], i % LOGITS, run.top_p);
      block_sync();
    }
    for (int g = thread() / 32; g < STREAMS; g += WARPS) {
      const u32 stream = reachable(g);
      const int drawn = run.given ? run.given[(u64)stream * run.samples + sample]
                                  : pick(nucleus ? s.logits[g] : s.chances[g], uniform(run.seeds[stream], run.time + sample));
      warp_sync();
      if (thread() % 32 == 0) {
        s.drawn[g] = drawn;
        if (block == 0 && first + g < run.streams) run.audio[(u64)stream * run.samples + sample] = drawn;
      }
    }
    block_sync();
  }
};

template <class T> DEVICE void copy(T *to, const T *from) {
  for (u32 i = thread(); i < sizeof(T) / 16; i += THREADS) ((Quad *)to)[i] = ((const Quad *)from)[i];
}

KERNEL wavenet(GRID_CONSTANT Run run) {
  SHARED(Shared, s);
  const u32 block = block_rank(), first = cluster_index() * STREAMS;
  for (u32 i = thread(); i < sizeof(Shared) / 16; i += THREADS) ((Quad *)&s)[i] = Quad{};   // padding must be zero
  block_sync();
  const Weights &weights = run.weights[block];
#if RESIDENT >= 1
  const Near &near = s.near;
  copy(&s.near, &weights.near);
#else
  const Near &near = weights.near;
#endif
#if RESIDENT >= 2
  const Far &far = s.far;
  copy(&s.far, &weights.far);
#else
  const Far &far = weights.far;
#endif
  Decoder d{run, s, near, far, {}, block, first};
#if BLOCKS > 1
  d.exchange.arrivals = s.arrivals;
#endif
  d.exchange.open();
  if (thread() < STREAMS) s.drawn[thread()] = run.previous[d.reachable(thread())];
  block_sync();
  cluster_sync();                                           // no push before every barrier stands
  d.fetch(0, run.time);
  ROLLED for (u32 sample = 0; sample < run.samples; sample++) {
    d.last = sample + 1 == run.samples;
    d.layers(run.time + sample);
    d.head();
    d.draw(sample);
  }
  cluster_sync();                                           // no block leaves while others push into it
}
