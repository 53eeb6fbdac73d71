// How the blocks of a cluster hand each other their results; within a single block, a barrier is all it takes.
#pragma once
#include "device.h"
#include "product.h"

enum { GATED, STATE, SKIPPED, HID, DECIDED, EXCHANGES };    // one arrival each; folded layers use the first two in turn

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
