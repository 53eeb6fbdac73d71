// From logits to the class that is heard: softmax with temperature, nucleus, and a draw by a given uniform number.
#pragma once
#include "device.h"

// e^x to 1e-7 for x up to 87, the same bits on every IEEE machine: no library call. Below -87 it is 0.
DEVICE float exponential(float x) {
  if (x < -87.f) return 0.f;
  const float n = nearest(x * 1.44269504f);
  float r = fused(n, -0.693145752f, x);
  r = fused(n, -1.42860677e-6f, r);
  float p = fused(1.f / 5040, r, 1.f / 720);
  p = fused(p, r, 1.f / 120);
  p = fused(p, r, 1.f / 24);
  p = fused(p, r, 1.f / 6);
  p = fused(p, r, .5f);
  p = fused(p, r, 1.f);
  p = fused(p, r, 1.f);
  return p * from_bits((u32)((int)n + 127) << 23);
}

// tanh(filter) sigmoid(gate) with one division; beyond +-20 tanh is 1 to the last bit, and nothing overflows.
DEVICE float gated(float filter, float gate) {
  const float limited = filter < -20.f ? -20.f : filter > 20.f ? 20.f : filter;
  const float closed = gate < -40.f ? -40.f : gate;
  const float u = exponential(-2.f * limited), v = exponential(-closed);
  return divide(1.f - u, (1.f + u) * (1.f + v));
}

// Philox 4x32-10 (Salmon et al. 2011): key = seed, counter = (time, 0, 0, 0); the top 24 bits as u in [0, 1).
DEVICE float uniform(u64 seed, u32 time) {
  u32 c0 = time, c1 = 0, c2 = 0, c3 = 0, k0 = (u32)seed, k1 = (u32)(seed >> 32);
  for (int round = 0; round < 10; round++) {
    const u32 h0 = high_product(0xD2511F53u, c0), l0 = 0xD2511F53u * c0;
    const u32 h1 = high_product(0xCD9E8D57u, c2), l1 = 0xCD9E8D57u * c2;
    c0 = h1 ^ c1 ^ k0;
    c1 = l1;
    c2 = h0 ^ c3 ^ k1;
    c3 = l0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return (float)(c0 >> 8) * (1.f / 16777216);
}

// One warp: chances[k] = exp((logits[k] - largest) / temperature), 0 beyond the last class.
DEVICE void weigh(const float *logits, float *chances, float sharpness) {
  float top = -3e38f;
  for (int k = thread() % 32; k < CLASSES; k += 32) top = logits[k] > top ? logits[k] : top;
  for (int distance = 16; distance; distance /= 2) {
    const float other = shuffle_xor(top, distance);
    top = other > top ? other : top;
  }
  for (int k = thread() % 32; k < LOGITS; k += 32)
    chances[k] = k < CLASSES ? exponential((logits[k] - top) * sharpness) : 0.f;
  warp_sync();
}

// One thread, one class: its chance while the likelier classes hold less than top_p of the mass, else 0.
DEVICE float kept(const float *chances, int k, float top_p) {
  float total = 0.f, ahead = 0.f;
  for (int j = 0; j < CLASSES; j++) {
    total = total + chances[j];
    if (chances[j] > chances[k]) ahead = ahead + chances[j];
  }
  return ahead < top_p * total ? chances[k] : 0.f;
}

// One warp: the smallest class whose cumulative chance exceeds u of the total. Each lane sums LOGITS / 32 neighbours.
DEVICE int pick(const float *chances, float u) {
  enum { OWN = LOGITS / 32 };
  const int first = thread() % 32 * OWN;
  float sum = 0.f, before = 0.f;
  int last = 0, found = LOGITS;
  for (int i = 0; i < OWN; i++) {
    sum = sum + chances[first + i];
    if (chances[first + i] > 0) last = first + i;
  }
  for (int distance = 1; distance < 32; distance *= 2) {
    const float other = shuffle_xor(sum, distance);
    if (thread() % 32 & distance) before = before + other;
    sum = sum + other;
  }
  const float aim = u * sum;
  float below = before;
  for (int i = 0; i < OWN; i++) {
    below = below + chances[first + i];
    if (aim < below && chances[first + i] > 0 && found == LOGITS) found = first + i;
  }
  for (int distance = 1; distance < 32; distance *= 2) {
    const int other = (int)shuffle_xor((float)found, distance), far = (int)shuffle_xor((float)last, distance);
    found = other < found ? other : found;
    last = far > last ? far : last;
  }
  return found < LOGITS ? found : last;                     // rounding may leave the last sliver uncovered
}
