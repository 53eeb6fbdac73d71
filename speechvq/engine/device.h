// The few notions of a GPU that the decoder uses. On CUDA they are instructions; for tests without a GPU,
// tests/engine/emulator/host.h gives each of them a meaning on one host thread, so that the same source runs there.
//
// All float32 arithmetic of the kernel goes through fused(), divide() and plain + - * without contraction
// (--fmad=false, -ffp-contract=off): the same operations in the same order, hence the same bits on both.
#pragma once
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

struct alignas(16) Quad { u32 word[4]; };                   // what one lane loads at once: 4 floats or 8 halves
struct alignas(16) Floats { float at[4]; };
struct alignas(8) Pair { float at[2]; };

#ifdef __CUDACC__
#define DEVICE __device__ __forceinline__
#define DEVICE_TABLE __constant__ const
#define GRID_CONSTANT const __grid_constant__
#define UNROLL _Pragma("unroll")
#define ROLLED _Pragma("unroll 1")
#define KERNEL extern "C" __global__ void CLUSTER __launch_bounds__(THREADS, 1)
#define SHARED(Type, name) \
  extern __shared__ __align__(16) unsigned char shared_memory[]; \
  Type &name = *reinterpret_cast<Type *>(shared_memory)

DEVICE u32 thread() { return threadIdx.x; }
DEVICE void block_sync() { __syncthreads(); }
DEVICE void warp_sync() { __syncwarp(); }
DEVICE float shuffle_xor(float value, int distance) { return __shfl_xor_sync(~0u, value, distance); }

DEVICE float fused(float a, float b, float c) { return __fmaf_rn(a, b, c); }
DEVICE float divide(float a, float b) { return __fdiv_rn(a, b); }
DEVICE float nearest(float v) { return rintf(v); }
DEVICE u32 bits(float v) { return __float_as_uint(v); }
DEVICE float from_bits(u32 v) { return __uint_as_float(v); }
DEVICE u32 high_product(u32 a, u32 b) { return __umulhi(a, b); }
DEVICE float from_half(u16 v) { float r; asm("cvt.f32.f16 %0, %1;" : "=f"(r) : "h"(v)); return r; }
DEVICE u16 to_half(float v) { u16 r; asm("cvt.rn.f16.f32 %0, %1;" : "=h"(r) : "f"(v)); return r; }

// D += A B of one warp: A 16 x 16 and B 16 x 8 halves, D 16 x 8 floats, spread over the lanes as PTX prescribes.
DEVICE void tensor_product(float &d0, float &d1, float &d2, float &d3, const Quad &a, u32 b0, u32 b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d0), "+f"(d1), "+f"(d2), "+f"(d3)
      : "r"(a.word[0]), "r"(a.word[1]), "r"(a.word[2]), "r"(a.word[3]), "r"(b0), "r"(b1));
}

#if BLOCKS == 1
#define CLUSTER
DEVICE u32 block_rank() { return 0; }
DEVICE u32 cluster_index() { return blockIdx.x; }
DEVICE void cluster_sync() { __syncthreads(); }
#else
// Thread-block clusters and distributed shared memory: compute capability 9.0 and later.
#define CLUSTER __cluster_dims__(BLOCKS, 1, 1)
struct Arrival { u64 word; };                               // an mbarrier: counts arrivals and bytes, then turns its phase
DEVICE u32 block_rank() { u32 r; asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(r)); return r; }
DEVICE u32 cluster_index() { return blockIdx.x / BLOCKS; }
DEVICE void cluster_sync() {
  asm volatile("barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;" ::: "memory");
}
DEVICE u32 address(const void *p) { return (u32)__cvta_generic_to_shared(p); }
DEVICE u32 peer_address(const void *p, u32 rank) {          // the same place in another block's shared memory
  u32 r;
  asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(r) : "r"(address(p)), "r"(rank));
  return r;
}
DEVICE void arrival_init(Arrival *a, u32 count) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;\nfence.mbarrier_init.release.cluster;"
               :: "r"(address(a)), "r"(count) : "memory");
}
DEVICE void arrival_arrive(Arrival *a) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" :: "r"(address(a)) : "memory");
}
DEVICE void arrival_expect(Arrival *a, u32 bytes) {         // arrive, and wait for so many bytes besides
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" :: "r"(address(a)), "r"(bytes) : "memory");
}
DEVICE void arrival_wait(Arrival *a, u32 phase) {
  u32 done = 0;
  while (!done)
    asm volatile("{\n.reg .pred p;\n"
                 "mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 p, [%1], %2;\n"
                 "selp.u32 %0, 1, 0, p;\n}" : "=r"(done) : "r"(address(a)), "r"(phase) : "memory");
}
// Store into the copy of *at that block `to` holds; the bytes are counted there on its copy of *a.
DEVICE void push(float *at, float v, Arrival *a, u32 to) {
  asm volatile("st.async.shared::cluster.mbarrier::complete_tx::bytes.b32 [%0], %1, [%2];"
               :: "r"(peer_address(at, to)), "r"(bits(v)), "r"(peer_address(a, to)) : "memory");
}
DEVICE void push(Pair *at, Pair v, Arrival *a, u32 to) {
  asm volatile("st.async.shared::cluster.mbarrier::complete_tx::bytes.v2.b32 [%0], {%1, %2}, [%3];"
               :: "r"(peer_address(at, to)), "r"(bits(v.at[0])), "r"(bits(v.at[1])), "r"(peer_address(a, to)) : "memory");
}
#endif
#else
#include "host.h"
#endif
