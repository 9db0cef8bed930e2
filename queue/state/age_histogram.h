// queue/state/age_histogram.h
// How many recipients of a destination wait since when, in few numbers: slots of time, a minute
// wide for what is new and wider with age, never wider than an eighth of the age when they were
// merged. Kept by apply, so that a summary of a million messages reads no messages.
//
// Slots are aligned to their width (a power of two of minutes), so any two are nested or apart,
// and adding and removing the same minute always meet in the same slot.
// Threads: any; pure.
#pragma once

#include <absl/time/time.h>

#include <array>
#include <cstdint>

namespace holdfast::queue::rows {
class DestinationRow;
}

namespace holdfast::queue {

inline constexpr int kAgeSlotsMax = 128;

// `accepted_us` as in the message; `now_us` steers merging only.
void AddAge(int64_t accepted_us, uint64_t recipients, int64_t now_us, rows::DestinationRow* row);
// Removes what was added before; false when there is no such slot (the row is damaged).
bool RemoveAge(int64_t accepted_us, uint64_t recipients, rows::DestinationRow* row);

}  // namespace holdfast::queue
