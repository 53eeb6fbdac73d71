// A block's share of one weight matrix times the activations of its streams.
//
// Rows come in pairs, because a gate needs two (tanh row, sigmoid row) and because two rows share the loads of x.
// The results stay in registers: each lane holds SLOTS of them, and place(slot) says which pair of rows and which
// stream a slot is. FIRST is the thread that the work begins with, so that different products keep different warps
// busy at the same time. Weights are packed by cuda_layout.py: neighbouring lanes load neighbouring 16 bytes.
#pragma once
#include "device.h"

DEVICE constexpr int up(int a, int b) { return (a + b - 1) / b; }
enum { WARPS = THREADS / 32 };
struct Place { int pair, stream; bool valid; };

#if TENSOR
// Tensor cores: a warp takes 16 rows (8 pairs: rows i and i + 8 of a tile) times 8 streams, 16 columns at a time.
typedef u16 Activation;
enum { LANES = 1, SPAN = 16, SKEW = 8 };                    // one lane holds a result; SKEW spreads streams over the banks
template <int ROWS_, int COLUMNS, int FIRST = 0> struct Product {
  enum { ROWS = ROWS_, PAIRS = ROWS / 2, TILES = PAIRS / 8, GROUPS = STREAMS / 8, STEPS = COLUMNS / SPAN, PARTS = 1,
         SWEEPS = up(TILES, WARPS), SLOTS = SWEEPS * GROUPS * 2, QUADS = TILES * STEPS * 32, WIDTH = COLUMNS + SKEW,
         BUSY = TILES * 32 };
  static_assert(PAIRS % 8 == 0 && COLUMNS % 16 == 0 && STREAMS % 8 == 0, "padded to whole tiles");

  DEVICE static int tile(int sweep) { return sweep * WARPS + (thread() + THREADS - FIRST) % THREADS / 32; }
  DEVICE static bool idle(int sweep) { return tile(sweep) >= TILES; }
  DEVICE static int quad(int sweep, int step, int) { return (tile(sweep) * STEPS + step) * 32 + thread() % 32; }
  DEVICE static Place place(int slot) {
    const int lane = thread() % 32, sweep = slot / 2 / GROUPS;
    return {tile(sweep) * 8 + lane / 4, slot / 2 % GROUPS * 8 + lane % 4 * 2 + slot % 2, !idle(sweep)};
  }
  template <class Weights>
  DEVICE static void accumulate(const Weights &weights, const Activation *x, int width, float (&sum)[SLOTS][2]) {
    const int lane = thread() % 32;
    UNROLL for (int sweep = 0; sweep < SWEEPS; sweep++) {
      if (idle(sweep)) continue;
      UNROLL for (int step = 0; step < STEPS; step++) {
        const Quad a = weights.at(sweep, step, 0);
        UNROLL for (int group = 0; group < GROUPS; group++) {
          const Activation *at = x + (group * 8 + lane / 4) * width + step * SPAN + lane % 4 * 2;
          float(*d)[2] = &sum[(sweep * GROUPS + group) * 2];
          tensor_product(d[0][0], d[1][0], d[0][1], d[1][1], a, *(const u32 *)at, *(const u32 *)(at + 8));
        }
      }
    }
  }
  DEVICE static void reduce(float (&)[SLOTS][2]) {}
};
DEVICE void store(Activation *at, float v) { *at = to_half(v); }
#else
// Plain lanes: LANES neighbours share a pair of rows, each sums every LANES-th group of four columns, and the
// partial sums meet in a fixed tree of shuffles, after which all LANES hold the result.
typedef float Activation;
enum { LANES = 8, FOURS = HALF ? 2 : 1, SPAN = LANES * 4 * FOURS };
template <int ROWS_, int COLUMNS, int FIRST = 0> struct Product {
  enum { ROWS = ROWS_, PAIRS = ROWS / 2, STEPS = up(COLUMNS, SPAN), AT_ONCE = THREADS / LANES, PARTS = 2,
         SWEEPS = up(PAIRS, AT_ONCE), SLOTS = SWEEPS * STREAMS, QUADS = STEPS * 2 * PAIRS * LANES, WIDTH = STEPS * SPAN,
         BUSY = PAIRS * LANES };
  static_assert(ROWS % 2 == 0, "padded to whole pairs");

  DEVICE static int member() { return (thread() + THREADS - FIRST) % THREADS; }
  DEVICE static int pair(int sweep) { return sweep * AT_ONCE + member() / LANES; }
  DEVICE static bool idle(int sweep) { return sweep * AT_ONCE + member() / 32 * (32 / LANES) >= PAIRS; }  // the whole warp
  DEVICE static int quad(int sweep, int step, int row) {
    const int own = pair(sweep), within = own < PAIRS ? own : PAIRS - 1;
    return ((step * 2 + row) * PAIRS + within) * LANES + thread() % LANES;
  }
  DEVICE static Place place(int slot) { return {pair(slot / STREAMS), slot % STREAMS, pair(slot / STREAMS) < PAIRS}; }
  template <class Weights>
  DEVICE static void accumulate(const Weights &weights, const Activation *x, int width, float (&sum)[SLOTS][2]) {
    UNROLL for (int sweep = 0; sweep < SWEEPS; sweep++) {
      if (idle(sweep)) continue;
      UNROLL for (int step = 0; step < STEPS; step++) {
        const Quad one = weights.at(sweep, step, 0), two = weights.at(sweep, step, 1);
        UNROLL for (int stream = 0; stream < STREAMS; stream++) {
          float(&to)[2] = sum[sweep * STREAMS + stream];
          UNROLL for (int four = 0; four < FOURS; four++) {
            const Floats v = *(const Floats *)(x + stream * width + step * SPAN + (four * LANES + thread() % LANES) * 4);
            UNROLL for (int i = 0; i < 4; i++) {
              to[0] = fused(weight(one, four * 4 + i), v.at[i], to[0]);
              to[1] = fused(weight(two, four * 4 + i), v.at[i], to[1]);
            }
          }
        }
      }
    }
  }
  DEVICE static void reduce(float (&sum)[SLOTS][2]) {
    UNROLL for (int slot = 0; slot < SLOTS; slot++) {
      if (idle(slot / STREAMS)) continue;
      UNROLL for (int distance = LANES / 2; distance; distance /= 2) {
        sum[slot][0] = sum[slot][0] + shuffle_xor(sum[slot][0], distance);
        sum[slot][1] = sum[slot][1] + shuffle_xor(sum[slot][1], distance);
      }
    }
  }
  DEVICE static float weight(const Quad &q, int i) {
    return HALF ? from_half((u16)(q.word[i / 2] >> i % 2 * 16)) : from_bits(q.word[i % 4]);
  }
};
#endif
DEVICE void store(float *at, float v) { *at = v; }

// The weights of a product, on their way to it. EARLY: begin() loads them into registers, to arrive while something
// else is being waited for; otherwise they are read where they lie, when they are used.
template <class P, bool EARLY> struct Stream {
  Quad held[P::SWEEPS * P::STEPS * P::PARTS];
  DEVICE void begin(const Quad *from) {
    UNROLL for (int sweep = 0; sweep < P::SWEEPS; sweep++) {
      if (P::idle(sweep)) continue;
      UNROLL for (int i = 0; i < P::STEPS * P::PARTS; i++)
        held[sweep * P::STEPS * P::PARTS + i] = from[P::quad(sweep, i / P::PARTS, i % P::PARTS)];
    }
  }
  DEVICE Quad at(int sweep, int step, int part) const { return held[(sweep * P::STEPS + step) * P::PARTS + part]; }
};
template <class P> struct Stream<P, false> {
  const Quad *from;
  DEVICE void begin(const Quad *from_) { from = from_; }
  DEVICE Quad at(int sweep, int step, int part) const { return from[P::quad(sweep, step, part)]; }
};
