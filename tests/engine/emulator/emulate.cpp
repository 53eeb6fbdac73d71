// The kernel's own source, compiled for the host: g++ -DMACROS... -I<folder of wavenet.cu> emulate.cpp
#include "wavenet.cu"

extern "C" {
int emulate(const Run *run, int clusters, u64 schedule) {   // 0: deadlock
  return emu::launch(clusters, BLOCKS, THREADS, sizeof(Shared), schedule, [=] { wavenet(*run); });
}

// The kernel's arithmetic by itself, element by element.
void exponentials(const float *x, float *y, int n) { for (int i = 0; i < n; i++) y[i] = exponential(x[i]); }
void gates(const float *a, const float *b, float *y, int n) { for (int i = 0; i < n; i++) y[i] = gated(a[i], b[i]); }
void uniforms(u64 seed, const u32 *times, float *y, int n) { for (int i = 0; i < n; i++) y[i] = uniform(seed, times[i]); }
void halves_to_floats(const u16 *x, float *y, int n) { for (int i = 0; i < n; i++) y[i] = from_half(x[i]); }
void floats_to_halves(const float *x, u16 *y, int n) { for (int i = 0; i < n; i++) y[i] = to_half(x[i]); }
void nucleus(const float *x, float *y, int n, float top_p) { for (int i = 0; i < n; i++) y[i] = kept(x, i, top_p); }
}
