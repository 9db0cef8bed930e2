// base/random.h
// The only door to luck. Random is a small seeded generator (xoshiro256**): equal seeds give equal
// sequences on every platform, which is what lets a simulation seed replay. Not for secrets.
// Threads: thread-compatible; each owner has its own.
#pragma once

#include <cstdint>

namespace holdfast {

class Random {
 public:
  using result_type = uint64_t;
  explicit Random(uint64_t seed);

  // A generator whose seed comes from the kernel (getrandom); failure ends the process.
  static Random FromKernel();

  uint64_t Next();
  // Uniform in [0, bound); bound > 0 (CHECK).
  uint64_t Below(uint64_t bound);
  // Uniform in [low, high], both included.
  uint64_t Between(uint64_t low, uint64_t high) { return low + Below(high - low + 1); }
  // Uniform in [0, 1).
  double Unit();
  bool OneIn(uint64_t n) { return Below(n) == 0; }

  // UniformRandomBitGenerator, for std::shuffle.
  static constexpr uint64_t min() { return 0; }
  static constexpr uint64_t max() { return ~uint64_t{0}; }
  uint64_t operator()() { return Next(); }

 private:
  uint64_t state_[4];
};

}  // namespace holdfast
