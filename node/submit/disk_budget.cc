#include "node/submit/disk_budget.h"

#include <algorithm>

namespace holdfast::node {

void DiskBudget::BeginLook() {
  MutexLock lock(mutex_);
  settled_before_ = settled_;
}

void DiskBudget::EndLook(uint64_t free_bytes, uint64_t unflushed_bytes) {
  MutexLock lock(mutex_);
  free_bytes_ = free_bytes;
  unflushed_bytes_ = unflushed_bytes;
  settled_ -= std::exchange(settled_before_, 0);
}

uint64_t DiskBudget::RoomLocked() const {
  if (free_bytes_ == ~uint64_t{0}) return free_bytes_;
  const uint64_t kept = reserve_bytes_ + unflushed_bytes_;
  if (free_bytes_ <= kept) return 0;
  const uint64_t room = (free_bytes_ - kept) / kDiskBytesPerByte;
  const uint64_t taken = promised_ + settled_;
  return room > taken ? room - taken : 0;
}

uint64_t DiskBudget::Room() const {
  MutexLock lock(mutex_);
  return RoomLocked();
}

std::optional<DiskBudget::Reservation> DiskBudget::TryReserve(uint64_t bytes) {
  MutexLock lock(mutex_);
  if (RoomLocked() < bytes) return std::nullopt;
  promised_ += bytes;
  return Reservation(*this, bytes);
}

void DiskBudget::Settle(uint64_t bytes) {
  MutexLock lock(mutex_);
  promised_ -= bytes;
  settled_ += bytes;
}

uint64_t DiskBudget::free_bytes() const {
  MutexLock lock(mutex_);
  return free_bytes_;
}

}  // namespace holdfast::node
