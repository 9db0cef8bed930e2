// base/byte_budget.h
// ByteBudget is a named bound on memory that outside input can claim. A taker gets a Reservation,
// which gives its bytes back when it is destroyed.
// Threads: thread-safe (one atomic). Lifetime: the budget outlives its reservations.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <utility>

namespace holdfast {

class ByteBudget {
 public:
  class Reservation {
   public:
    Reservation() = default;
    Reservation(Reservation&& other) noexcept { *this = std::move(other); }
    Reservation& operator=(Reservation&& other) noexcept;
    ~Reservation() { Release(); }
    uint64_t bytes() const { return bytes_; }
    void Release();

   private:
    friend class ByteBudget;
    Reservation(ByteBudget* budget, uint64_t bytes) : budget_(budget), bytes_(bytes) {}
    ByteBudget* budget_ = nullptr;
    uint64_t bytes_ = 0;
  };

  explicit ByteBudget(uint64_t bytes_max) : bytes_max_(bytes_max) {}
  ByteBudget(const ByteBudget&) = delete;
  ByteBudget& operator=(const ByteBudget&) = delete;

  // nullopt when `bytes` more would pass the bound.
  std::optional<Reservation> TryReserve(uint64_t bytes);

  uint64_t used_bytes() const { return used_.load(std::memory_order_relaxed); }
  uint64_t bytes_max() const { return bytes_max_; }

 private:
  const uint64_t bytes_max_;
  std::atomic<uint64_t> used_{0};
};

}  // namespace holdfast
