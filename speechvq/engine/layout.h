// What lies where: the products that a block has a share of, its weights in device memory, its shared memory, the
// kernel's argument. cuda_layout.py mirrors it.
#pragma once
#include "device.h"
#include "exchange.h"
#include "product.h"

// Products of a layer begin one after another's warps, as far as the warps go.
DEVICE constexpr int next_warp(int thread) { return BLOCKS == 1 ? 0 : up(thread, 32) * 32 % THREADS; }
using Now = Product<2 * RESIDUAL / BLOCKS, RESIDUAL>;       // the gate's current tap
using Fold = Now;                                           // what the layer before adds to the gate through its residual
using Residual = Product<RESIDUAL / BLOCKS, RESIDUAL, next_warp(Now::BUSY)>;
using Past = Product<2 * RESIDUAL / BLOCKS, RESIDUAL, next_warp(Now::BUSY + 31 + Residual::BUSY)>;
using Skip = Product<SKIP / BLOCKS, RESIDUAL, next_warp(Now::BUSY + 31 + Residual::BUSY + 31 + Past::BUSY)>;
using Hidden = Product<SKIP / BLOCKS, SKIP>;
using Output = Product<LOGITS / BLOCKS, SKIP>;
static_assert(BLOCKS == 1 || !TENSOR, "tensor cores serve one block");
enum { EARLY_CORE = BLOCKS > 1 && RESIDENT < 1, EARLY_FOLD = BLOCKS > 1 && RESIDENT < 2, EARLY_FAR = BLOCKS > 1 && RESIDENT < 3 };

template <bool SMALL> struct SampleOf { typedef u8 type; };
template <> struct SampleOf<false> { typedef u16 type; };
typedef SampleOf<CLASSES <= 256>::type Sample;

enum { RESIDUALS = LAYERS > 1 ? LAYERS - 1 : 1 };          // the last layer has none
struct Core {                                               // a block's weights on the path from sample to sample
  Quad now[LAYERS][Now::QUADS], residual[RESIDUALS][Residual::QUADS], hidden[Hidden::QUADS], output[Output::QUADS];
  alignas(16) float residual_bias[RESIDUALS][Residual::ROWS], skip_bias[Skip::ROWS], hidden_bias[Hidden::ROWS],
      output_bias[Output::ROWS];
};
#if FOLDED
struct Folded { Quad fold[RESIDUALS][Fold::QUADS]; };       // now[l + 1] residual[l]
#endif
struct Far { Quad past[LAYERS][TAPS][Past::QUADS], skip[LAYERS][Skip::QUADS]; };  // beside the path
struct Weights {
  Core core;
#if FOLDED
  Folded folded;
#endif
  Far far;
};

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

enum { DEPTH = FOLDED ? 4 : 2 };                            // buffers of a layer's exchange; see wavenet.cu
struct Shared {
#if RESIDENT >= 1
  Core core;
#endif
#if FOLDED && RESIDENT >= 2
  Folded folded;
#endif
#if RESIDENT >= 3
  Far far;
#endif
  Vector<Now> x[DEPTH];
  Vector<Residual> z[DEPTH];
  Vector<Hidden> skipped;
  Vector<Output> hidden;
  alignas(16) float logits[STREAMS][LOGITS], chances[STREAMS][LOGITS];
  u32 drawn[STREAMS];
#if BLOCKS > 1
  Arrival arrivals[EXCHANGES];
#endif
};
static_assert(sizeof(Shared) == SHARED_BYTES, "cuda_layout.py and the kernel disagree on shared memory");
