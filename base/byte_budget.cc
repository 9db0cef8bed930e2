#include "base/byte_budget.h"

#include "base/check.h"

namespace holdfast {

ByteBudget::Reservation& ByteBudget::Reservation::operator=(Reservation&& other) noexcept {
  if (this != &other) {
    Release();
    budget_ = std::exchange(other.budget_, nullptr);
    bytes_ = std::exchange(other.bytes_, 0);
  }
  return *this;
}

void ByteBudget::Reservation::Release() {
  if (budget_ == nullptr) return;
  const uint64_t before = budget_->used_.fetch_sub(bytes_);
  HOLDFAST_CHECK(before >= bytes_);
  budget_ = nullptr;
  bytes_ = 0;
}

std::optional<ByteBudget::Reservation> ByteBudget::TryReserve(uint64_t bytes) {
  uint64_t used = used_.load();
  do {
    if (bytes > bytes_max_ || used > bytes_max_ - bytes) return std::nullopt;
  } while (!used_.compare_exchange_weak(used, used + bytes));
  return Reservation(this, bytes);
}

}  // namespace holdfast
