#include "queue/state/unconfirmed.h"

#include <string>

#include "proto/queue_rows.pb.h"
#include "queue/state/keys.h"
#include "queue/state/rows.h"

namespace holdfast::queue {

absl::StatusOr<std::optional<QueueId>> FindUnconfirmed(const TablesReader& reader,
                                                       std::string_view sha256, absl::Time now) {
  const std::optional<std::string> value = reader.Get(UnconfirmedKey(sha256));
  if (!value) {
    HOLDFAST_RETURN_IF_ERROR(reader.status());
    return std::optional<QueueId>();
  }
  rows::UnconfirmedRow row;
  HOLDFAST_RETURN_IF_ERROR(DecodeRow(*value, &row));
  for (const rows::UnconfirmedMessage& message : row.messages()) {
    if (absl::FromUnixMicros(message.forget_us()) <= now) continue;
    std::optional<QueueId> id = QueueId::Parse(message.queue_id());
    if (!id) return absl::DataLossError("an unconfirmed message without a queue id");
    return id;
  }
  return std::optional<QueueId>();
}

}  // namespace holdfast::queue
