// queue/state/rows.h
// Rows as messages (proto/queue_rows.proto), and how the node reads those that an attempt needs.
// A value is one byte of format number and the serialised message.
// Threads: any.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "queue/state/queue_types.h"
#include "queue/state/tables.h"

namespace google::protobuf {
class MessageLite;
}
namespace holdfast::queue::rows {
class MessageRow;
class UnitRow;
class DestinationRow;
class TotalsRow;
class BodyRefRow;
}  // namespace holdfast::queue::rows

namespace holdfast::queue {

inline constexpr char kRowFormat = 1;
inline constexpr uint32_t kFirstStateVersion = 1;  // Of a group that was never raised.

std::string EncodeRow(const google::protobuf::MessageLite& row);
// kDataLoss: not this row. kUnimplemented: of a newer format.
absl::Status DecodeRow(std::string_view value, google::protobuf::MessageLite* row);

// kNotFound when there is no such row; kDataLoss and kUnimplemented as above; or the reader's own
// error.
absl::StatusOr<rows::MessageRow> ReadMessage(const TablesReader& reader, const QueueId& id);
// Also units that have ended, as long as their message lives.
absl::StatusOr<rows::UnitRow> ReadUnit(const TablesReader& reader, const UnitKey& key);
// Zeroes when the destination has no row.
absl::StatusOr<rows::DestinationRow> ReadDestination(const TablesReader& reader,
                                                     std::string_view destination);
absl::StatusOr<rows::TotalsRow> ReadTotals(const TablesReader& reader);
// Of the group: what its commands and rows may be; see command::RaiseStateVersion.
absl::StatusOr<uint32_t> ReadStateVersion(const TablesReader& reader);

BodyRef FromRow(const rows::BodyRefRow& row);
rows::BodyRefRow ToRow(const BodyRef& body);

}  // namespace holdfast::queue
