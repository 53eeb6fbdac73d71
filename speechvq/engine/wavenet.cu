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
// HALF (float16 weights) TENSOR FOLDED RESIDENT (which weights are on chip: 0 none, 1 the core, 2 the folded too, 3 all)
// DILATIONS, RING_STARTS (lists of LAYERS), RING_SLOTS (their sum), SHARED_BYTES.
#include "draw.h"
#include "exchange.h"
#include "layout.h"

struct Decoder {
  const Run &run;
  Shared &s;
  const Core &core;
#if FOLDED
  const Folded &folded;
#endif
  const Far &far;
  Exchange exchange;
  u32 block, first;                                         // this block's rank; its cluster's first stream
  float own[Residual::SLOTS][2];                            // this lane's elements of the current layer's input x
  float skips[Skip::SLOTS][2];                              // and of the skip sum, still in parts
  float due[Now::SLOTS][2];                                 // what the next gate adds to its product; see fetch
  Stream<Now, EARLY_CORE> now;
  Stream<Residual, EARLY_CORE> residual;
#if FOLDED
  Stream<Fold, EARLY_FOLD> fold;
#endif
  Stream<Past, EARLY_FAR> past[TAPS];
  Stream<Skip, EARLY_FAR> skip;
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
  // What a gate adds to its product: the conditioning, and what the past taps left in the ring.
  DEVICE void fetch(int layer, u32 time) {
    UNROLL for (int slot = 0; slot < Now::SLOTS; slot++) {
      const Place p = Now::place(slot);
      due[slot][0] = due[slot][1] = 0.f;
      if (!p.valid || thread() % LANES) continue;           // the first of the lanes brings it into their sum
      const u32 frame = time / HOP - run.first_frame;
      const Pair past = *ring(layer, time, p);
      const Pair local = *((const Pair *)(run.conditioning + ((((u64)frame * run.streams + reachable(p.stream)) * LAYERS
                                                               + layer) * BLOCKS + block) * Past::ROWS) + p.pair);
      due[slot][0] = local.at[0] + past.at[0];
      due[slot][1] = local.at[1] + past.at[1];
    }
  }
  // Off the path: the products of x that later samples will add, and the skip sum.
  DEVICE void remember(int layer, u32 time, const Vector<Now> &x) {
    UNROLL for (int tap = TAPS - 1; tap >= 0; tap--) {      // the oldest first: its slot is the one just consumed
      float sum[Past::SLOTS][2] = {};
      Past::accumulate(past[tap], x.at[0], Now::WIDTH, sum);
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
  DEVICE void add_skip(const Vector<Residual> &z) { Skip::accumulate(skip, z.at[0], Residual::WIDTH, skips); }

  // z = tanh(filter) sigmoid(gate) of this block's rows, into every block's vector.
  DEVICE void gate(int layer, const Vector<Now> &x, const Vector<Residual> *before, Vector<Residual> &z, int arrival) {
    Now::accumulate(now, x.at[0], Now::WIDTH, due);
#if FOLDED
    if (layer) {
      float sum[Fold::SLOTS][2] = {};
      Fold::accumulate(fold, before->at[0], Residual::WIDTH, sum);
      UNROLL for (int slot = 0; slot < Fold::SLOTS; slot++) {
        due[slot][0] = due[slot][0] + sum[slot][0];
        due[slot][1] = due[slot][1] + sum[slot][1];
      }
    }
#endif
    Now::reduce(due);
    UNROLL for (int slot = 0; slot < Now::SLOTS; slot++) {
      const Place p = Now::place(slot);
      if (!p.valid) continue;
      const float v = gated(due[slot][0], due[slot][1]);
      const int row = block * Now::PAIRS + p.pair;
      exchange.give(&z.at[p.stream][row], v, arrival);
      tap(p.stream, GATED_TAPS + layer * RESIDUAL + row, v);
    }
  }
  // x of the next layer: this block's elements grow by the residual product of z.
  DEVICE void grow(int layer, const Vector<Residual> &z) {
    float sum[Residual::SLOTS][2] = {};
    Residual::accumulate(residual, z.at[0], Residual::WIDTH, sum);
    Residual::reduce(sum);
    UNROLL for (int slot = 0; slot < Residual::SLOTS; slot++) {
      const Place p = Residual::place(slot);
      if (!p.valid) continue;
      own[slot][0] = own[slot][0] + (sum[slot][0] + core.residual_bias[layer][2 * p.pair]);
      own[slot][1] = own[slot][1] + (sum[slot][1] + core.residual_bias[layer][2 * p.pair + 1]);
    }
  }
  DEVICE void tap_own(int layer) const {
    UNROLL for (int slot = 0; slot < Residual::SLOTS; slot++) {
      const Place p = Residual::place(slot);
      const int at = INPUT_TAPS + layer * RESIDUAL + block * Residual::ROWS + 2 * p.pair;
      if (p.valid) tap(p.stream, at, own[slot][0]), tap(p.stream, at + 1, own[slot][1]);
    }
  }
  DEVICE void give_own(Vector<Now> &x, int arrival) {
    UNROLL for (int slot = 0; slot < Residual::SLOTS; slot++) {
      const Place p = Residual::place(slot);
      if (!p.valid) continue;
      exchange.give(&x.at[p.stream][block * Residual::ROWS + 2 * p.pair], own[slot][0], own[slot][1], arrival);
    }
  }
  // Begin a sample: the embedding of the class before it is layer 0's input, whole in every block.
  DEVICE void embed(Vector<Now> &x) {
    for (int i = thread(); i < STREAMS * RESIDUAL; i += THREADS)
      store(&x.at[i / RESIDUAL][i % RESIDUAL], run.embedding[s.drawn[i / RESIDUAL] * RESIDUAL + i % RESIDUAL]);
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
      skips[slot][0] = bears ? core.skip_bias[2 * p.pair] : 0.f;
      skips[slot][1] = bears ? core.skip_bias[2 * p.pair + 1] : 0.f;
    }
    block_sync();
  }

#if FOLDED
  // x[l % 4] and z[l % 4] hold what layer l - 1 was given and what it gated: all that the gate of layer l needs.
  DEVICE void layers(u32 time) {
    embed(s.x[0]);
    ROLLED for (int l = 0; l < LAYERS; l++) {
      const Vector<Now> &x = s.x[l % 4];
      const Vector<Residual> &z = s.z[l % 4];
      if (l) residual.begin(core.residual[l - 1]);
      begin_far(l - 1);
      gate(l, x, &z, s.z[(l + 1) % 4], l % 2);
      if (l) grow(l - 1, z);
      if (last) tap_own(l);
      give_own(s.x[(l + 1) % 4], l % 2);
      if (l + 1 < LAYERS) {                                 // from here on while the exchange is under way
        now.begin(core.now[l + 1]);
        fold.begin(folded.fold[l]);
        fetch(l + 1, time);
      }
      if (l) {
        add_skip(z);
        remember(l - 1, time, x);
      }
      exchange.take(l % 2, 2 * STREAMS * RESIDUAL);
    }
    begin_far(LAYERS - 1);
    add_skip(s.z[LAYERS % 4]);
    give_skips();
    remember(LAYERS - 1, time, s.x[LAYERS % 4]);
  }
#else
  DEVICE void layers(u32 time) {
    embed(s.x[0]);
    ROLLED for (int l = 0; l < LAYERS; l++) {
      const Vector<Now> &x = s.x[l % 2];
      Vector<Residual> &z = s.z[l % 2];
      const bool more = l + 1 < LAYERS;
      if (more) residual.begin(core.residual[l]);
      begin_far(l);
      if (last) tap_own(l);
      gate(l, x, nullptr, z, GATED);
      remember(l, time, x);                                 // while the exchange is under way
      if (more) {
        now.begin(core.now[l + 1]);
        fetch(l + 1, time);
      }
      exchange.take(GATED, STREAMS * RESIDUAL);
      if (more) {
        grow(l, z);
        give_own(s.x[(l + 1) % 2], STATE);
      }
      add_skip(z);                                          // again
      if (more) exchange.take(STATE, STREAMS * RESIDUAL);
    }
    give_skips();
  }
#endif
  DEVICE void begin_far(int layer) {
    if (layer < 0) return;
    UNROLL for (int tap = 0; tap < TAPS; tap++) past[tap].begin(far.past[layer][tap]);
    skip.begin(far.skip[layer]);
  }

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

  DEVICE void head(u32 time) {
    Stream<Hidden, false> hidden;
    Stream<Output, false> output;
    hidden.begin(core.hidden);
    output.begin(core.output);
    exchange.take(SKIPPED, STREAMS * SKIP);
    now.begin(core.now[0]);                                 // for the next sample
    if (!last) fetch(0, time + 1);                          // now that every warp has filled its part of the rings
    float sum[Hidden::SLOTS][2] = {};
    Hidden::accumulate(hidden, s.skipped.at[0], Hidden::WIDTH, sum);
    Hidden::reduce(sum);
    UNROLL for (int slot = 0; slot < Hidden::SLOTS; slot++) {
      const Place p = Hidden::place(slot);
      if (!p.valid) continue;
      const int row = block * Hidden::ROWS + 2 * p.pair;
      const float a = rectified(sum[slot][0] + core.hidden_bias[2 * p.pair]);
      const float b = rectified(sum[slot][1] + core.hidden_bias[2 * p.pair + 1]);
      exchange.give(&s.hidden.at[p.stream][row], a, b, HID);
      tap(p.stream, HIDDEN_TAPS + row, a);
      tap(p.stream, HIDDEN_TAPS + row + 1, b);
    }
    exchange.take(HID, STREAMS * SKIP);
    float out[Output::SLOTS][2] = {};
    Output::accumulate(output, s.hidden.at[0], Output::WIDTH, out);
    Output::reduce(out);
    UNROLL for (int slot = 0; slot < Output::SLOTS; slot++) {
      const Place p = Output::place(slot);
      if (!p.valid) continue;
      const int row = block * Output::ROWS + 2 * p.pair;
      const float a = out[slot][0] + core.output_bias[2 * p.pair], b = out[slot][1] + core.output_bias[2 * p.pair + 1];
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
  const Core &core = s.core;
  copy(&s.core, &weights.core);
#else
  const Core &core = weights.core;
#endif
#if FOLDED && RESIDENT >= 2
  const Folded &folded = s.folded;
  copy(&s.folded, &weights.folded);
#elif FOLDED
  const Folded &folded = weights.folded;
#endif
#if RESIDENT >= 3
  const Far &far = s.far;
  copy(&s.far, &weights.far);
#else
  const Far &far = weights.far;
#endif
#if FOLDED
  Decoder d{run, s, core, folded, far, {}, block, first};
#else
  Decoder d{run, s, core, far, {}, block, first};
#endif
#if BLOCKS > 1
  d.exchange.arrivals = s.arrivals;
#endif
  d.exchange.open();
  if (thread() < STREAMS) s.drawn[thread()] = run.previous[d.reachable(thread())];
  block_sync();
  cluster_sync();                                           // no push before every barrier stands
  d.now.begin(core.now[0]);
  d.fetch(0, run.time);
  ROLLED for (u32 sample = 0; sample < run.samples; sample++) {
    d.last = sample + 1 == run.samples;
    d.layers(run.time + sample);
    d.head(run.time + sample);
    d.draw(sample);
  }
  cluster_sync();                                           // no block leaves while others push into it
}
