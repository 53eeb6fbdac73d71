// A GPU's cluster on one host thread: every CUDA thread is a fiber, so a run is deterministic and can be made hostile.
//
// schedule 0 is kind: fibers in order, pushes delivered at once. Any other schedule is a seed: it holds back random lanes,
// warps and whole blocks, for a while or until nothing else can move, and delivers pushes late and in random order.
// Shared memory begins as NaN. Memory itself is sequentially consistent here: a missing fence cannot be found, a
// missing wait can.
#pragma once
#include <algorithm>
#include <cmath>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <ucontext.h>
#include <vector>
#define DEVICE inline
#define DEVICE_TABLE static const
#define GRID_CONSTANT const
#define UNROLL
#define ROLLED
#define KERNEL void
#define SHARED(Type, name) Type &name = *reinterpret_cast<Type *>(emu::self->block->memory.data())

struct alignas(8) Arrival { u8 count, phase; signed char pending; int bytes; };   // as large as an mbarrier

namespace emu {
struct Cluster;
struct alignas(16) Chunk { u8 at[16]; };
struct Block {
  std::vector<Chunk> chunks;
  struct { u8 *p; u8 *data() { return p; } } memory;
  u32 rank, cluster_index;
  Cluster *cluster;
  long arrived = 0, epoch = 0;
};
struct Delivery { u8 *to; u8 value[8]; u32 bytes; Arrival *arrival; };
struct Cluster { std::vector<Block> blocks; std::vector<Delivery> in_flight; long threads, arrived = 0, epoch = 0; };
enum { MAILBOX = 16, LETTER = 6 };
struct Fiber {
  ucontext_t start;
  jmp_buf at;
  std::unique_ptr<char[]> stack;
  u32 tid;
  Block *block;
  Fiber *warp;                                              // its lane 0
  bool begun = false, done = false;
  const u8 *watch = nullptr;                                // asleep until this byte differs from `seen`
  u8 seen = 0;
  long turns = 0;
  u32 mail[MAILBOX][LETTER];
};
inline Fiber *self;
inline jmp_buf scheduler;
inline ucontext_t main_context;
inline std::function<void()> entry;
inline u64 chaos;
inline bool hostile;
inline u64 random() {                                       // splitmix64
  u64 z = chaos += 0x9E3779B97F4A7C15ull;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ z >> 27) * 0x94D049BB133111EBull;
  return z ^ z >> 31;
}

inline void leave() {
  if (!_setjmp(self->at)) _longjmp(scheduler, 1);
}
template <class Word, class Condition> void sleep_while(const Word &word, Condition condition) {
  while (condition()) {
    self->watch = (const u8 *)&word;                        // its lowest byte, on a little-endian host
    self->seen = *self->watch;
    leave();
  }
}
inline long until_pause = 1;
inline Fiber *frozen;                                       // one thread interrupted until nothing else can move
inline void may_pause() {                                   // a thread can be held back anywhere, not only where it waits
  if (!hostile || --until_pause > 0) return;
  until_pause = 1 + random() % 100;
  if (!frozen && random() % 8 == 0) frozen = self;
  leave();
}
inline void trampoline() {
  entry();
  self->done = true;
  leave();
}
inline void resume(Fiber &f) {
  self = &f;
  if (_setjmp(scheduler)) return;
  if (f.begun) _longjmp(f.at, 1);
  f.begun = true;
  setcontext(&f.start);
}

inline void settle(Arrival *a) {
  if (a->pending || a->bytes) return;
  a->pending = a->count;
  a->phase++;
}
inline void deliver(const Delivery &d) {
  std::memcpy(d.to, d.value, d.bytes);
  d.arrival->bytes -= d.bytes;
  settle(d.arrival);
}
inline bool deliver_some(Cluster &c) {                      // a random half of what is under way, in random order
  bool any = false;
  for (size_t left = c.in_flight.size() / 2 + 1; left && !c.in_flight.empty(); left--) {
    size_t i = random() % c.in_flight.size();
    deliver(c.in_flight[i]);
    c.in_flight[i] = c.in_flight.back();
    c.in_flight.pop_back();
    any = true;
  }
  return any;
}

// Which fibers are held back: some or a single group of lanes, warp or block, for a while or until all others wait for it.
struct Hold {
  std::vector<bool> held;
  long left = 0;
  void redraw(size_t fibers, u32 threads) {
    const u64 granularity = random() % 4, density = random() % 3;
    const u32 span = granularity == 0 ? 8 : granularity == 1 ? 32 : threads;
    const size_t single = random() % (fibers / span) * span;
    left = random() % 3 ? random() % 16 : 1L << 40;
    held.assign(fibers, false);
    if (granularity == 3) { left = random() % 16; return; }    // nobody
    for (size_t i = 0; i < fibers; i += span)
      if (density == 0 ? random() % 2 : density == 1 ? random() % 8 == 0 : i == single)
        std::fill(held.begin() + i, held.begin() + std::min<size_t>(fibers, i + span), true);
  }
};

inline bool run_cluster(u32 index, u32 size, u32 threads, size_t shared) {  // false: deadlock
  Cluster cluster;
  cluster.threads = threads;
  cluster.blocks.resize(size);
  std::vector<Fiber> fibers(size * threads);
  for (u32 b = 0; b < size; b++) {
    Block &block = cluster.blocks[b];
    block.chunks.resize(shared / 16 + 1);
    block.memory.p = block.chunks[0].at;
    std::memset(block.memory.p, 0xFF, shared);
    block.rank = b;
    block.cluster_index = index;
    block.cluster = &cluster;
  }
  for (u32 i = 0; i < fibers.size(); i++) {
    Fiber &f = fibers[i];
    const size_t bytes = 65536;
    f.stack.reset(new char[bytes]);
    f.tid = i % threads;
    f.block = &cluster.blocks[i / threads];
    f.warp = &fibers[i - f.tid % 32];
    getcontext(&f.start);
    f.start.uc_stack.ss_sp = f.stack.get();
    f.start.uc_stack.ss_size = bytes;
    f.start.uc_link = &main_context;
    makecontext(&f.start, trampoline, 0);
  }
  Hold hold;
  for (size_t finished = 0; finished < fibers.size();) {
    bool moved = false, holding = false;
    if (hostile && hold.left-- <= 0) hold.redraw(fibers.size(), threads);
    for (size_t i = 0; i < fibers.size(); i++) {
      Fiber &f = fibers[i];
      if (f.done || (f.watch && *f.watch == f.seen)) continue;
      if (&f == frozen || (hostile && hold.held[i])) { holding = true; continue; }
      f.watch = nullptr;
      moved = true;
      resume(f);
      finished += f.done;
    }
    if (hostile) moved |= deliver_some(cluster);
    if (!moved && !holding) return false;
    if (!moved) {
      hold.left = 0;
      frozen = nullptr;
    }
  }
  return true;
}

inline bool launch(u32 clusters, u32 size, u32 threads, size_t shared, u64 schedule, std::function<void()> body) {
  entry = body;
  chaos = schedule * 0x2545F4914F6CDD1Dull;
  hostile = schedule != 0;
  frozen = nullptr;
  for (u32 k = 0; k < clusters; k++)
    if (!run_cluster(k, size, threads, shared)) return false;
  return true;
}

// Post a letter, wait for the lanes one wants to read from; the mailbox is deep enough that none is overwritten unread.
inline long post(const u32 *letter, u32 words) {
  std::memcpy(self->mail[self->turns % MAILBOX], letter, words * 4);
  return self->turns++;
}
inline const u32 *letter_of(Fiber *from, long turn) {
  sleep_while(from->turns, [&] { return from->turns <= turn; });
  return from->mail[turn % MAILBOX];
}
template <class Group> void meet(Group &g, long size) {
  const long epoch = g.epoch;
  if (++g.arrived == size) {
    g.arrived = 0;
    g.epoch++;
  }
  sleep_while(g.epoch, [&] { return g.epoch == epoch; });
}
template <class T> T *peer(T *p, u32 rank) {
  Block *b = self->block;
  return (T *)((u8 *)p - b->memory.data() + b->cluster->blocks[rank].memory.data());
}
}  // namespace emu

DEVICE u32 thread() {                                       // asked so often that it serves as the place to be interrupted
  emu::may_pause();
  return emu::self->tid;
}
DEVICE u32 block_rank() { return emu::self->block->rank; }
DEVICE u32 cluster_index() { return emu::self->block->cluster_index; }
DEVICE void block_sync() { emu::meet(*emu::self->block, emu::self->block->cluster->threads); }
DEVICE void cluster_sync() {
  emu::Cluster &c = *emu::self->block->cluster;
  emu::meet(c, c.threads * (long)c.blocks.size());
}
DEVICE void warp_sync() {
  const long turn = emu::post(nullptr, 0);
  for (int lane = 0; lane < 32; lane++) emu::letter_of(emu::self->warp + lane, turn);
}
DEVICE float shuffle_xor(float value, int distance) {
  u32 word;
  std::memcpy(&word, &value, 4);
  const long turn = emu::post(&word, 1);
  std::memcpy(&value, emu::letter_of(emu::self->warp + (emu::self->tid % 32 ^ distance), turn), 4);
  return value;
}

DEVICE float fused(float a, float b, float c) { return std::fma(a, b, c); }
DEVICE float divide(float a, float b) { return a / b; }
DEVICE float nearest(float v) { return std::rint(v); }
DEVICE u32 bits(float v) { u32 r; std::memcpy(&r, &v, 4); return r; }
DEVICE float from_bits(u32 v) { float r; std::memcpy(&r, &v, 4); return r; }
DEVICE u32 high_product(u32 a, u32 b) { return (u32)((u64)a * b >> 32); }
DEVICE float from_half(u16 v) {                             // a half's exponent is 112 short of a float's
  const u32 magnitude = v & 0x7FFFu, sign = (u32)(v & 0x8000u) << 16;
  if (magnitude >= 0x7C00u) return from_bits(sign | 0x7F800000u | (magnitude & 0x3FFu) << 13);
  return from_bits(sign | bits(from_bits(magnitude << 13) * 0x1p112f));
}
DEVICE u16 to_half(float v) {                               // to nearest, ties to even
  const u32 sign = bits(v) >> 16 & 0x8000u, magnitude = bits(v) & 0x7FFFFFFFu;
  if (magnitude > 0x7F800000u) return (u16)(sign | 0x7E00u);
  if (magnitude >= 0x477FF000u) return (u16)(sign | 0x7C00u);
  if (magnitude < 0x38800000u) return (u16)(sign | (u32)std::rint(from_bits(magnitude) * 0x1p24f));
  return (u16)(sign | (magnitude - 0x38000000u + 0xFFFu + (magnitude >> 13 & 1)) >> 13);
}
DEVICE void tensor_product(float &d0, float &d1, float &d2, float &d3, const Quad &a, u32 b0, u32 b1) {
  const u32 lane = emu::self->tid % 32, letter[6] = {a.word[0], a.word[1], a.word[2], a.word[3], b0, b1};
  const long turn = emu::post(letter, 6);
  for (int other = 0; other < 32; other++) emu::letter_of(emu::self->warp + other, turn);
  auto half_of = [](u32 word, int k) { return from_half((u16)(word >> k % 2 * 16)); };
  auto letter_at = [&](u32 from) { return (emu::self->warp + from)->mail[turn % emu::MAILBOX]; };
  float *d[4] = {&d0, &d1, &d2, &d3};
  for (int i = 0; i < 4; i++) {
    const u32 row = lane / 4, column = lane % 4 * 2 + i % 2;
    for (int k = 0; k < 16; k++) {
      const float from_a = half_of(letter_at(row * 4 + k % 8 / 2)[i / 2 + k / 8 * 2], k);
      *d[i] = std::fma(from_a, half_of(letter_at(column * 4 + k % 8 / 2)[4 + k / 8], k), *d[i]);
    }
  }
}

#if BLOCKS > 1
DEVICE void arrival_init(Arrival *a, u32 count) { *a = {(u8)count, 0, (signed char)count, 0}; }
DEVICE void arrival_arrive(Arrival *a) { a->pending--; emu::settle(a); }
DEVICE void arrival_expect(Arrival *a, u32 bytes) { a->bytes += bytes; arrival_arrive(a); }
DEVICE void arrival_wait(Arrival *a, u32 phase) {
  emu::sleep_while(a->phase, [&] { return (a->phase & 1u) == phase; });
}
template <class T> void push(T *at, T v, Arrival *a, u32 to) {
  emu::Delivery d{(u8 *)emu::peer(at, to), {}, sizeof(T), emu::peer(a, to)};
  std::memcpy(d.value, &v, sizeof(T));
  if (emu::hostile) emu::self->block->cluster->in_flight.push_back(d);
  else emu::deliver(d);
}
#endif
