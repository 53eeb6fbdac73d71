// The kernel's own source, compiled for the host: g++ -DMACROS... -I<folder of wavenet.cu> emulate.cpp
#include "wavenet.cu"

extern "C" int emulate(const Run *run, int clusters, unsigned long long schedule) {
  return emu::launch(clusters, BLOCKS, THREADS, sizeof(Shared), schedule, [=] { wavenet(*run); });
}
extern "C" unsigned long long weight_bytes() { return sizeof(Weights); }
