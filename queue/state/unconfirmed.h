// queue/state/unconfirmed.h
// Submissions whose client may offer them again: the answer to their end was lost, or may have
// been. Which fingerprint makes two submissions the same is the node's business
// (node/replay/fingerprint). Threads: any; reads nothing but the rows.
#pragma once

#include <absl/time/time.h>

#include <optional>
#include <string_view>

#include "base/status.h"
#include "queue/state/queue_types.h"
#include "queue/state/tables.h"

namespace holdfast::queue {

// The first message of this group with the fingerprint that is neither confirmed nor, at `now`,
// forgotten; nullopt: there is none. kDataLoss, kUnimplemented: the row can't be understood; or the
// reader's own error.
absl::StatusOr<std::optional<QueueId>> FindUnconfirmed(const TablesReader& reader,
                                                       std::string_view sha256, absl::Time now);

}  // namespace holdfast::queue
