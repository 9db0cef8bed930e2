#include "node/delivery/attempt_notes.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <limits>
#include <string_view>

#include "base/check.h"
#include "base/log.h"

namespace holdfast::node {

// The format of the file: a header as long as a slot, then the slots. Local to one machine, so in
// its byte order.
struct AttemptNotes::Slot {
  char queue_id[queue::QueueId::kSize];
  uint32_t unit;
  uint8_t used;
  uint8_t under_way;
  uint8_t crashes;
  uint8_t reserved[9];
};

namespace {

constexpr size_t kSlotBytes = 32;
constexpr std::string_view kMagic = "holdfast attempt notes, format 1";
static_assert(kMagic.size() == kSlotBytes);

class FileDescriptor {
 public:
  explicit FileDescriptor(int descriptor) : descriptor_(descriptor) {}
  ~FileDescriptor() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return descriptor_; }

 private:
  const int descriptor_;
};

absl::Status Failed(std::string_view what, const std::string& path, int error) {
  return MakeStatus(absl::StatusCode::kUnavailable, "cannot {} {}: {}", what, path,
                    std::strerror(error));
}

// The process may be killed between any two writes: the compiler must keep their order.
void KeepOrder() { std::atomic_signal_fence(std::memory_order_seq_cst); }

}  // namespace

absl::StatusOr<std::unique_ptr<AttemptNotes>> AttemptNotes::Open(
    const std::string& path, const AttemptNotesOptions& options) {
  static_assert(sizeof(Slot) == kSlotBytes);
  HOLDFAST_CHECK(options.units_max > 0 && options.quarantine_after > 0);
  const FileDescriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (file.get() < 0) return Failed("open", path, errno);
  struct stat found = {};
  if (::fstat(file.get(), &found) != 0) return Failed("look at", path, errno);
  const size_t bytes = kSlotBytes * (size_t{options.units_max} + 1);
  if (static_cast<size_t>(found.st_size) != bytes) {
    if (::ftruncate(file.get(), 0) != 0) return Failed("empty", path, errno);
  }
  // Allocated, not sparse: a mapped page without room on the disk would be a SIGBUS later.
  const int error = ::posix_fallocate(file.get(), 0, static_cast<off_t>(bytes));
  if (error != 0) return Failed("make room for", path, error);
  void* const memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  if (memory == MAP_FAILED) return Failed("map", path, errno);
  return std::unique_ptr<AttemptNotes>(new AttemptNotes(options, memory, bytes));
}

AttemptNotes::AttemptNotes(const AttemptNotesOptions& options, void* memory, size_t bytes)
    : options_(options),
      memory_(memory),
      bytes_(bytes),
      slots_(reinterpret_cast<Slot*>(static_cast<char*>(memory) + kSlotBytes), options.units_max) {
  TakeOver();
}

AttemptNotes::~AttemptNotes() { ::munmap(memory_, bytes_); }

void AttemptNotes::TakeOver() {
  if (std::memcmp(memory_, kMagic.data(), kMagic.size()) != 0) {
    std::memset(memory_, 0, bytes_);
    std::memcpy(memory_, kMagic.data(), kMagic.size());
  }
  uint32_t crashed = 0;
  for (uint32_t i = options_.units_max; i-- > 0;) {
    Slot& slot = slots_[i];
    const auto id = queue::QueueId::Parse({slot.queue_id, sizeof slot.queue_id});
    if (slot.used != 1 || !id || !by_unit_.emplace(queue::UnitKey{*id, slot.unit}, i).second) {
      Clear(i);
      continue;
    }
    if (slot.under_way == 0) continue;
    ++crashed;
    if (slot.crashes < std::numeric_limits<uint8_t>::max()) ++slot.crashes;
    KeepOrder();
    slot.under_way = 0;
  }
  if (crashed == 0) return;
  Log(LogLevel::kWarn, "attempts_cut_short",
      {{"units", crashed}, {"reason", "the last process ended without a stop"}});
}

void AttemptNotes::Clear(uint32_t slot) {
  slots_[slot].used = 0;
  KeepOrder();
  slots_[slot] = Slot{};
  free_.push_back(slot);
}

uint32_t AttemptNotes::CrashesOf(const queue::UnitKey& unit) const {
  const auto found = by_unit_.find(unit);
  return found == by_unit_.end() ? 0 : slots_[found->second].crashes;
}

Suspicion AttemptNotes::Of(const queue::UnitKey& unit) const {
  const uint32_t crashes = CrashesOf(unit);
  if (crashes >= options_.quarantine_after) return Suspicion::kQuarantine;
  if (crashes > 0 && crashes + 1 == options_.quarantine_after) return Suspicion::kAttemptAlone;
  return Suspicion::kNone;
}

uint32_t AttemptNotes::SlotFor(const queue::UnitKey& unit) {
  if (const auto found = by_unit_.find(unit); found != by_unit_.end()) return found->second;
  if (free_.empty()) {
    auto least = by_unit_.end();
    for (auto one = by_unit_.begin(); one != by_unit_.end(); ++one) {
      if (slots_[one->second].under_way != 0) continue;
      if (least == by_unit_.end() || slots_[one->second].crashes < slots_[least->second].crashes) {
        least = one;
      }
    }
    if (least == by_unit_.end()) return options_.units_max;
    Clear(least->second);
    by_unit_.erase(least);
  }
  const uint32_t slot = free_.back();
  free_.pop_back();
  by_unit_.emplace(unit, slot);
  return slot;
}

void AttemptNotes::Begin(const queue::UnitKey& unit) {
  const uint32_t index = SlotFor(unit);
  // More under way than was configured: such a unit goes without a note.
  if (index == options_.units_max) return;
  Slot& slot = slots_[index];
  std::copy(unit.queue_id.text().begin(), unit.queue_id.text().end(), slot.queue_id);
  slot.unit = unit.unit;
  KeepOrder();
  slot.used = 1;
  KeepOrder();
  slot.under_way = 1;
}

void AttemptNotes::End(const queue::UnitKey& unit) {
  const auto found = by_unit_.find(unit);
  if (found == by_unit_.end() || slots_[found->second].under_way == 0) return;
  Clear(found->second);
  by_unit_.erase(found);
}

void AttemptNotes::Interrupt(const queue::UnitKey& unit) {
  const auto found = by_unit_.find(unit);
  if (found == by_unit_.end()) return;
  if (slots_[found->second].crashes == 0) {
    End(unit);
  } else {
    slots_[found->second].under_way = 0;
  }
}

void AttemptNotes::Forget(const queue::QueueId& message) {
  auto one = by_unit_.lower_bound({message, 0});
  while (one != by_unit_.end() && one->first.queue_id == message) {
    Slot& slot = slots_[one->second];
    slot.crashes = 0;
    if (slot.under_way != 0) {
      ++one;
      continue;
    }
    Clear(one->second);
    one = by_unit_.erase(one);
  }
}

void AttemptNotes::Close() {
  for (auto one = by_unit_.begin(); one != by_unit_.end();) {
    const queue::UnitKey unit = one->first;
    ++one;  // Interrupt() may take the note away.
    Interrupt(unit);
  }
}

}  // namespace holdfast::node
