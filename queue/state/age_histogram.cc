#include "queue/state/age_histogram.h"

#include <algorithm>
#include <vector>

#include "proto/queue_rows.pb.h"

namespace holdfast::queue {
namespace {

constexpr int64_t kMinuteUs = 60'000'000;
constexpr uint32_t kWidthBitsMax = 40;

struct Slot {
  uint64_t start = 0;
  uint32_t width_bits = 0;
  uint64_t count = 0;

  uint64_t end() const { return start + (uint64_t{1} << width_bits); }
};

uint64_t MinuteOf(int64_t us) { return us < 0 ? 0 : static_cast<uint64_t>(us / kMinuteUs); }

Slot Widen(Slot slot, uint32_t width_bits) {
  if (width_bits > slot.width_bits) {
    slot.width_bits = width_bits;
    slot.start &= ~((uint64_t{1} << width_bits) - 1);
  }
  return slot;
}

// Largest width, as a power of two, that is at most an eighth of the slot's age.
uint32_t WidthBitsFor(const Slot& slot, uint64_t now) {
  if (now <= slot.end()) return 0;
  const uint64_t eighth = (now - slot.end()) / 8;
  uint32_t bits = 0;
  while (bits < kWidthBitsMax && (uint64_t{2} << bits) <= eighth) ++bits;
  return bits;
}

// Widens every slot to what its age allows, at least `bits_min`, and joins those that now nest.
std::vector<Slot> Merge(const std::vector<Slot>& slots, uint64_t now, uint32_t bits_min) {
  std::vector<Slot> merged;
  for (const Slot& slot : slots) {
    Slot wide = Widen(slot, std::max(bits_min, WidthBitsFor(slot, now)));
    while (!merged.empty() && merged.back().start >= wide.start) {
      wide.count += merged.back().count;
      merged.pop_back();
    }
    if (!merged.empty() && merged.back().end() > wide.start) {
      merged.back().count += wide.count;
    } else {
      merged.push_back(wide);
    }
  }
  return merged;
}

std::vector<Slot> Load(const rows::DestinationRow& row) {
  std::vector<Slot> slots;
  slots.reserve(row.ages_size() + 1);
  for (const rows::AgeSlot& slot : row.ages()) {
    slots.push_back({slot.start(), std::min(slot.width_bits(), kWidthBitsMax), slot.count()});
  }
  return slots;
}

void Save(const std::vector<Slot>& slots, rows::DestinationRow* row) {
  row->clear_ages();
  for (const Slot& slot : slots) {
    rows::AgeSlot* out = row->add_ages();
    out->set_start(slot.start);
    out->set_width_bits(slot.width_bits);
    out->set_count(slot.count);
  }
}

// The slot that has `minute`, or where it would stand.
template <typename Slots>
auto FindSlot(Slots& slots, uint64_t minute) {
  return std::find_if(slots.begin(), slots.end(),
                      [minute](const Slot& slot) { return slot.end() > minute; });
}

}  // namespace

void AddAge(int64_t accepted_us, uint64_t recipients, int64_t now_us, rows::DestinationRow* row) {
  const uint64_t minute = MinuteOf(accepted_us);
  // The newest slot is the usual one: no need to unpack the rest.
  if (row->ages_size() > 0) {
    rows::AgeSlot* last = row->mutable_ages(row->ages_size() - 1);
    if (last->start() <= minute && minute < last->start() + (uint64_t{1} << last->width_bits())) {
      last->set_count(last->count() + recipients);
      return;
    }
  }
  std::vector<Slot> slots = Load(*row);
  auto at = FindSlot(slots, minute);
  if (at != slots.end() && at->start <= minute) {
    at->count += recipients;
  } else {
    slots.insert(at, {minute, 0, recipients});
  }
  for (uint32_t bits_min = 0; slots.size() > kAgeSlotsMax; ++bits_min) {
    slots = Merge(slots, MinuteOf(now_us), bits_min);
  }
  Save(slots, row);
}

bool RemoveAge(int64_t accepted_us, uint64_t recipients, rows::DestinationRow* row) {
  const uint64_t minute = MinuteOf(accepted_us);
  for (int i = row->ages_size() - 1; i >= 0; --i) {
    rows::AgeSlot* slot = row->mutable_ages(i);
    if (slot->start() > minute) continue;
    if (minute >= slot->start() + (uint64_t{1} << slot->width_bits())) return false;
    if (slot->count() < recipients) return false;
    slot->set_count(slot->count() - recipients);
    if (slot->count() == 0) row->mutable_ages()->DeleteSubrange(i, 1);
    return true;
  }
  return false;
}

}  // namespace holdfast::queue
