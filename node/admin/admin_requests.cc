#include "node/admin/admin_requests.h"

#include <algorithm>

#include "base/status.h"
#include "node/config/config_reader.h"
#include "proto/admin.pb.h"
#include "smtp/protocol/address.h"

namespace holdfast::node {
namespace {

constexpr size_t kFilterTextBytesMax = 1100;
constexpr size_t kTokenBytesMax = 4096;

template <typename... Args>
absl::Status Invalid(fmt::format_string<Args...> text, Args&&... args) {
  return MakeStatus(absl::StatusCode::kInvalidArgument, text, std::forward<Args>(args)...);
}

bool HasCondition(const admin::QueueFilter& filter) {
  return filter.all() || !filter.destination().empty() || !filter.sender().empty() ||
         !filter.recipient().empty() || filter.state() != admin::MESSAGE_STATE_UNSET ||
         filter.age_seconds_min() != 0;
}

absl::Status CheckFilter(admin::QueueFilter* filter) {
  constexpr uint64_t kAgeSecondsMax = uint64_t{10000} * 24 * 3600;
  if (std::max({filter->destination().size(), filter->sender().size(),
                filter->recipient().size()}) > kFilterTextBytesMax) {
    return Invalid("a filter may have at most {} bytes", kFilterTextBytesMax);
  }
  if (!admin::MessageState_IsValid(filter->state())) return Invalid("no such message state");
  if (filter->age_seconds_min() > kAgeSecondsMax) return Invalid("the age is over 10000 days");
  if (filter->destination().empty()) return absl::OkStatus();
  const bool below = filter->destination()[0] == '.';
  const auto key = smtp::DomainKey(std::string_view(filter->destination()).substr(below ? 1 : 0));
  if (!key) return Invalid("`{}` is no destination", filter->destination());
  filter->set_destination((below ? "." : "") + *key);
  return absl::OkStatus();
}

// Where messages are rerouted to; no other verb has a target.
absl::Status CheckTarget(QueueAction action, admin::QueueActionRequest* request) {
  if (action != QueueAction::kReroute) {
    return request->to_destination().empty()
               ? absl::OkStatus()
               : Invalid("only reroute takes a destination to send to");
  }
  const auto key = smtp::DomainKey(request->to_destination());
  if (!key) {
    return Invalid("`{}` is no destination to reroute to",
                   std::string_view(request->to_destination()).substr(0, kFilterTextBytesMax));
  }
  request->set_to_destination(*key);
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckQueueId(std::string* queue_id) {
  constexpr size_t kQueueIdBytes = 16;
  constexpr std::string_view kAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
  std::string upper = *queue_id;
  for (char& c : upper) {
    if (c >= 'a' && c <= 'z') c -= 'a' - 'A';
  }
  if (upper.size() != kQueueIdBytes || upper.find_first_not_of(kAlphabet) != std::string::npos) {
    return Invalid("`{}` is no queue id; one has 16 digits and letters",
                   std::string_view(*queue_id).substr(0, 2 * kQueueIdBytes));
  }
  *queue_id = std::move(upper);
  return absl::OkStatus();
}

absl::Status CheckDestinationList(admin::DestinationListRequest* request) {
  constexpr uint32_t kRowsDefault = 50;
  constexpr uint32_t kRowsMax = 1000;
  if (request->rows_max() > kRowsMax) return Invalid("at most {} rows", kRowsMax);
  if (request->rows_max() == 0) request->set_rows_max(kRowsDefault);
  return absl::OkStatus();
}

absl::Status CheckQueueSummary(admin::QueueSummaryRequest* request) {
  constexpr uint32_t kRowsDefault = 50;
  constexpr uint32_t kRowsMax = 10000;
  if (!admin::MessageState_IsValid(request->state())) return Invalid("no such message state");
  if (request->rows_max() > kRowsMax) return Invalid("at most {} rows", kRowsMax);
  if (request->rows_max() == 0) request->set_rows_max(kRowsDefault);
  return absl::OkStatus();
}

absl::Status CheckQueueList(admin::QueueListRequest* request) {
  constexpr uint32_t kPageDefault = 100;
  if (request->page_size() > kQueuePageMax) {
    return Invalid("a page may have at most {} messages", kQueuePageMax);
  }
  if (request->page_size() == 0) request->set_page_size(kPageDefault);
  if (request->page_token().size() > kTokenBytesMax) return Invalid("not one of our page tokens");
  if (!HasCondition(request->filter())) request->mutable_filter()->set_all(true);
  return CheckFilter(request->mutable_filter());
}

absl::Status CheckQueueAction(QueueAction action, admin::QueueActionRequest* request) {
  const bool listed = request->queue_ids_size() > 0;
  const bool filtered = HasCondition(request->filter());
  if (listed && filtered) return Invalid("give queue ids or a filter, not both");
  if (!listed && !filtered) {
    return Invalid("give queue ids, or a filter with at least one condition");
  }
  if (request->queue_ids_size() > kQueueIdsPerCallMax) {
    return Invalid("at most {} queue ids in one call", kQueueIdsPerCallMax);
  }
  for (std::string& queue_id : *request->mutable_queue_ids()) {
    HOLDFAST_RETURN_IF_ERROR(CheckQueueId(&queue_id));
  }
  if (filtered) HOLDFAST_RETURN_IF_ERROR(CheckFilter(request->mutable_filter()));
  if (request->cursor().size() > kTokenBytesMax) return Invalid("not one of our cursors");
  HOLDFAST_RETURN_IF_ERROR(CheckTarget(action, request));
  const bool destructive = action == QueueAction::kHold || action == QueueAction::kRemove ||
                           action == QueueAction::kBounce || action == QueueAction::kReroute;
  return CheckReason(request->reason(), destructive && !request->dry_run());
}

absl::Status CheckPolicyText(std::string_view text) {
  if (text.size() > kConfigBytesMax) {
    return Invalid("the policy has {} bytes; at most {} are allowed", text.size(), kConfigBytesMax);
  }
  return absl::OkStatus();
}

absl::Status CheckPolicyHistory(admin::PolicyHistoryRequest* request) {
  constexpr uint32_t kVersionsDefault = 20;
  constexpr uint32_t kVersionsMax = 100;
  if (request->versions_max() > kVersionsMax) return Invalid("at most {} versions", kVersionsMax);
  if (request->versions_max() == 0) request->set_versions_max(kVersionsDefault);
  return absl::OkStatus();
}

absl::Status CheckReason(std::string_view reason, bool required) {
  if (required && reason.empty()) return Invalid("a reason is required; it is recorded");
  if (reason.size() > kReasonBytesMax) {
    return Invalid("a reason may have at most {} bytes", kReasonBytesMax);
  }
  const bool printable = std::all_of(reason.begin(), reason.end(), [](char c) {
    return static_cast<unsigned char>(c) >= ' ' && c != 0x7f;
  });
  if (!printable || !smtp::IsValidUtf8(reason)) return Invalid("a reason must be printable text");
  return absl::OkStatus();
}

std::string CleanActor(std::string_view name) {
  constexpr size_t kActorBytesMax = 64;
  std::string clean;
  for (const char c : name.substr(0, kActorBytesMax)) clean += c > ' ' && c < 0x7f ? c : '_';
  return clean.empty() ? "unnamed" : clean;
}

}  // namespace holdfast::node
