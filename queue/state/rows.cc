#include "queue/state/rows.h"

#include <limits>

#include "proto/queue_rows.pb.h"
#include "queue/state/keys.h"

namespace holdfast::queue {
namespace {

constexpr absl::StatusCode kAbsent = absl::StatusCode::kNotFound;

template <typename Row>
absl::StatusOr<Row> ReadRow(const TablesReader& reader, std::string_view key) {
  std::optional<std::string> value = reader.Get(key);
  if (!value) {
    HOLDFAST_RETURN_IF_ERROR(reader.status());
    return absl::Status(kAbsent, "no such row");
  }
  Row row;
  HOLDFAST_RETURN_IF_ERROR(DecodeRow(*value, &row));
  return row;
}

}  // namespace

std::string EncodeRow(const google::protobuf::MessageLite& row) {
  std::string value(1, kRowFormat);
  row.AppendToString(&value);
  return value;
}

absl::Status DecodeRow(std::string_view value, google::protobuf::MessageLite* row) {
  if (value.empty()) return absl::DataLossError("an empty row");
  if (value[0] != kRowFormat) {
    return MakeStatus(absl::StatusCode::kUnimplemented, "row format {} is not known here",
                      static_cast<unsigned char>(value[0]));
  }
  value.remove_prefix(1);
  if (value.size() > std::numeric_limits<int>::max() ||
      !row->ParseFromArray(value.data(), static_cast<int>(value.size()))) {
    return MakeStatus(absl::StatusCode::kDataLoss, "unreadable {}", row->GetTypeName());
  }
  return absl::OkStatus();
}

absl::StatusOr<rows::MessageRow> ReadMessage(const TablesReader& reader, const QueueId& id) {
  return ReadRow<rows::MessageRow>(reader, MessageKey(id));
}

absl::StatusOr<rows::UnitRow> ReadUnit(const TablesReader& reader, const UnitKey& key) {
  absl::StatusOr<rows::UnitRow> open = ReadRow<rows::UnitRow>(reader, OpenUnitKey(key));
  if (open.status().code() != kAbsent) return open;
  return ReadRow<rows::UnitRow>(reader, EndedUnitKey(key));
}

absl::StatusOr<rows::DestinationRow> ReadDestination(const TablesReader& reader,
                                                     std::string_view destination) {
  absl::StatusOr<rows::DestinationRow> row =
      ReadRow<rows::DestinationRow>(reader, DestinationKey(destination));
  if (row.status().code() == kAbsent) return rows::DestinationRow();
  return row;
}

absl::StatusOr<rows::TotalsRow> ReadTotals(const TablesReader& reader) {
  absl::StatusOr<rows::TotalsRow> row = ReadRow<rows::TotalsRow>(reader, TotalsKey());
  if (row.status().code() == kAbsent) return rows::TotalsRow();
  return row;
}

absl::StatusOr<uint32_t> ReadStateVersion(const TablesReader& reader) {
  absl::StatusOr<rows::StateVersionRow> row =
      ReadRow<rows::StateVersionRow>(reader, StateVersionKey());
  if (row.status().code() == kAbsent) return kFirstStateVersion;
  HOLDFAST_RETURN_IF_ERROR(row.status());
  return row->version();
}

BodyRef FromRow(const rows::BodyRefRow& row) {
  return {row.index(), row.term(), row.ordinal(), row.bytes(), row.crc32c()};
}

rows::BodyRefRow ToRow(const BodyRef& body) {
  rows::BodyRefRow row;
  row.set_index(body.index);
  row.set_term(body.term);
  row.set_ordinal(body.ordinal);
  row.set_bytes(body.bytes);
  row.set_crc32c(body.crc32c);
  return row;
}

}  // namespace holdfast::queue
