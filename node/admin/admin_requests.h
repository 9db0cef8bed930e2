// node/admin/admin_requests.h
// What can be said of an admin request without knowing the queue: bounds, forms, and the defaults
// of what was left out, which are filled in. Pure. Threads: functions without state. Errors:
// kInvalidArgument with a text for the person who asked.
#pragma once

#include <absl/status/status.h>

#include <string>
#include <string_view>

#include "node/admin/admin_backend.h"

namespace holdfast::node {

inline constexpr int kQueueIdsPerCallMax = 1000;
inline constexpr uint32_t kQueuePageMax = 1000;
inline constexpr size_t kReasonBytesMax = 500;

// 16 characters of Crockford's base32, made upper case.
absl::Status CheckQueueId(std::string* queue_id);
absl::Status CheckDestinationList(admin::DestinationListRequest* request);
absl::Status CheckQueueSummary(admin::QueueSummaryRequest* request);
// Afterwards there is a filter, with at least one condition.
absl::Status CheckQueueList(admin::QueueListRequest* request);
absl::Status CheckQueueAction(QueueAction action, admin::QueueActionRequest* request);
absl::Status CheckPolicyText(std::string_view text);
absl::Status CheckPolicyHistory(admin::PolicyHistoryRequest* request);
// Printable UTF-8 in bounds.
absl::Status CheckReason(std::string_view reason, bool required);

// Printable ASCII, at most 64 characters, never empty: what may stand in the audit trail.
std::string CleanActor(std::string_view name);

}  // namespace holdfast::node
