// A block's share of one weight matrix times the activations of its streams.
//
// Rows come in pairs, because a gate needs two (tanh row, sigmoid row) and because two rows share the loads of x.
// The results stay in registers: each lane holds SLOTS of them, and place(slot) says which pair of rows and which
// stream a slot is. Weights are packed by cuda_layout.py so that neighbouring lanes load neighbouring 16 bytes.
#pragma once
#include "device.h"

DEVICE constexpr int up(int a, int b) { return (a + b - 1) / b; }
enum { WARPS = THREADS / 32 };
struct Place { int pair, stream; bool valid; };

#if TENSOR
// Tensor cores: a warp takes 16 rows (8 pairs: rows i and i + 8 of a tile) times 8 streams, 16 columns at a time.
typedef u16 Activation;
enum { LANES = 1, SPAN = 16, SKEW = 8 };                             // one lane holds a result; SKEW spreads streams over the banks
template <int ROWS_, int COLUMNS> struct Product {
  enum { ROWS = ROWS_, PAIRS = ROWS / 2, TILES = PAIRS / 8, GROUPS = STREAMS / 8, STEPS = COLUMNS / SPAN,
         SWEEPS = up(TILES, WARPS), SLOTS = SWEEPS * GROUPS * 2, QUADS = TILES * STEPS * 32, WIDTH = COLUMNS + SKEW };
  static_assert(PAIRS % 8 == 0 && COLUMNS % 16 == 0 && STREAMS % 8 == 0, "padded to whole tiles");

  DEVICE static Place place(int slot) {
    const int lane = thread() % 32, tile = slot / 2 / GROUPS * WARPS + thread() / 32;
    return {tile * 8 + lane / 4, slot / 2 % GROUPS * 8 + lane % 4 * 2 + slot % 2, tile < TILES};
  }
  DEVICE static void accumulate(const Quad *weights, const Activation *x, int width, float (&sum)[SLOTS][2]) {
    const int lane = thread() % 32, warp = thread() / 32;
    UNROLL for (int sweep = 0; sweep < SWEEPS; sweep++) {
      const int tile = sweep * WARPS + warp;
      if (tile >= TILES) continue;
      UNROLL for (int step = 0; step < STEPS; step++) {
        const Quad a = weights[(tile * STEPS + step) * 32 + lane];
        UNROLL for (int group = 0; group < GROUPS; group++) {
          const Activation *at = x + (group * 8 + lane / 4) * width + step * 16 + lane % 4 * 2;
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
template <int ROWS_, int COLUMNS> struct Product {
  enum { ROWS = ROWS_, PAIRS = ROWS / 2, STEPS = up(COLUMNS, SPAN), AT_ONCE = THREADS / LANES,
         SWEEPS = up(PAIRS, AT_ONCE), SLOTS = SWEEPS * STREAMS, QUADS = STEPS * 2 * PAIRS * LANES, WIDTH = STEPS * SPAN };
  static_assert(ROWS % 2 == 0, "padded to whole pairs");

  DEVICE static Place place(int slot) {
    const int pair = slot / STREAMS * AT_ONCE + thread() / LANES;
    return {pair, slot % STREAMS, pair < PAIRS};
  }
  DEVICE static void accumulate(const Quad *weights, const Activation *x, int width, float (&sum)[SLOTS][2]) {
    const int part = thread() % LANES;
    UNROLL for (int sweep = 0; sweep < SWEEPS; sweep++) {
      const int first = sweep * AT_ONCE, own = first + thread() / LANES, pair = own < PAIRS ? own : PAIRS - 1;
      if (first + (int)(thread() / 32) * (32 / LANES) >= PAIRS) continue;   // nothing for this warp
      UNROLL for (int step = 0; step < STEPS; step++) {
        const Quad one = weights[((step * 2 + 0) * PAIRS + pair) * LANES + part];
        const Quad two = weights[((step * 2 + 1) * PAIRS + pair) * LANES + part];
        UNROLL for (int stream = 0; stream < STREAMS; stream++) {
          float(&to)[2] = sum[sweep * STREAMS + stream];
          UNROLL for (int four = 0; four < FOURS; four++) {
            const Floats v = *(const Floats *)(x + stream * width + step * SPAN + (four * LANES + part) * 4);
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
      if (slot / STREAMS * AT_ONCE + (int)(thread() / 32) * (32 / LANES) >= PAIRS) continue;
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
