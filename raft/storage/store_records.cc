#include "raft/storage/store_records.h"

#include "base/crc32c.h"
#include "raft/storage/byte_codec.h"

namespace holdfast::raft {
namespace {

constexpr size_t kChecksumBytes = 4;
constexpr size_t kBodyFrameBytes = 9;
// The newest entry type of this build. An older build meeting a newer type must stop, not skip.
constexpr uint64_t kEntryTypeMax = static_cast<uint64_t>(EntryType::kConfChange);

std::string Seal(std::string record) {
  AppendLittleEndian(Crc32c(record), 4, record);
  return record;
}

absl::Status CheckFormat(std::string_view record, const char* what) {
  if (record.empty()) return MakeStatus(absl::StatusCode::kDataLoss, "{}: empty record", what);
  if (record[0] == kRecordFormat) return absl::OkStatus();
  if (record[0] > kRecordFormat) {
    return MakeStatus(absl::StatusCode::kUnimplemented, "{}: format {} is newer than this build",
                      what, int{record[0]});
  }
  return MakeStatus(absl::StatusCode::kDataLoss, "{}: format {} never existed", what,
                    int{record[0]});
}

absl::Status Damaged(const char* what, const char* how) {
  return MakeStatus(absl::StatusCode::kDataLoss, "{}: {}", what, how);
}

// The fields of a sealed record. The checksum is looked at first: the format of damaged bytes says
// nothing.
absl::StatusOr<std::string_view> Unseal(std::string_view record, const char* what) {
  if (record.size() < 1 + kChecksumBytes) return Damaged(what, "too short");
  std::string_view sealed = record.substr(0, record.size() - kChecksumBytes);
  ByteReader checksum(record.substr(sealed.size()));
  if (checksum.LittleEndian(4) != Crc32c(sealed)) return Damaged(what, "wrong checksum");
  HOLDFAST_RETURN_IF_ERROR(CheckFormat(sealed, what));
  return sealed.substr(1);
}

void AppendNodes(const std::vector<NodeId>& nodes, std::string& out) {
  AppendLittleEndian(nodes.size(), 4, out);
  for (NodeId node : nodes) AppendLittleEndian(node.value(), 8, out);
}

std::vector<NodeId> TakeNodes(ByteReader& in) {
  std::vector<NodeId> nodes;
  uint64_t count = in.LittleEndian(4);
  for (uint64_t i = 0; i < count && in.ok(); ++i) nodes.push_back(NodeId(in.LittleEndian(8)));
  return nodes;
}

}  // namespace

std::string EncodeLogHeader(const LogHeader& header) {
  std::string out;
  out.reserve(30 + header.command.size() + header.bodies.size() * 8);
  out.push_back(kRecordFormat);
  AppendLittleEndian(static_cast<uint64_t>(header.type), 1, out);
  AppendLittleEndian(header.term, 8, out);
  AppendLittleEndian(header.index, 8, out);
  AppendLittleEndian(header.command.size(), 4, out);
  out += header.command;
  AppendLittleEndian(header.bodies.size(), 4, out);
  for (const BodySum& body : header.bodies) {
    AppendLittleEndian(body.bytes, 4, out);
    AppendLittleEndian(body.crc32c, 4, out);
  }
  return Seal(std::move(out));
}

absl::StatusOr<LogHeader> DecodeLogHeader(std::string_view record) {
  HOLDFAST_ASSIGN_OR_RETURN(std::string_view fields, Unseal(record, "log header"));
  ByteReader in(fields);
  LogHeader header;
  const uint64_t type = in.LittleEndian(1);
  if (type > kEntryTypeMax) {
    return MakeStatus(absl::StatusCode::kUnimplemented, "log header: unknown entry type {}", type);
  }
  header.type = static_cast<EntryType>(type);
  header.term = in.LittleEndian(8);
  header.index = in.LittleEndian(8);
  header.command = in.Take(in.LittleEndian(4));
  const uint64_t count = in.LittleEndian(4);
  for (uint64_t i = 0; i < count && in.ok(); ++i) {
    BodySum body;
    body.bytes = static_cast<uint32_t>(in.LittleEndian(4));
    body.crc32c = static_cast<uint32_t>(in.LittleEndian(4));
    header.bodies.push_back(body);
  }
  if (!in.AtEnd()) return Damaged("log header", "lengths do not add up");
  return header;
}

std::string EncodeBodyFrame(std::string_view disk_key, uint32_t body_crc32c) {
  std::string frame{kRecordFormat};
  AppendLittleEndian(body_crc32c, 4, frame);
  AppendLittleEndian(Crc32c(frame, Crc32c(disk_key)), 4, frame);
  return frame;
}

absl::StatusOr<std::string_view> DecodeBody(std::string_view disk_key, std::string_view record) {
  if (record.size() < kBodyFrameBytes) return Damaged("body", "too short");
  ByteReader in(record);
  std::string_view sealed = in.Take(kBodyFrameBytes - kChecksumBytes);
  if (in.LittleEndian(4) != Crc32c(sealed, Crc32c(disk_key))) {
    return Damaged("body", "wrong checksum of its frame");
  }
  HOLDFAST_RETURN_IF_ERROR(CheckFormat(sealed, "body"));
  ByteReader frame(sealed.substr(1));
  if (frame.LittleEndian(4) != Crc32c(in.rest())) return Damaged("body", "wrong checksum");
  return in.rest();
}

std::string EncodeIdentity(const StoreIdentity& identity) {
  std::string out{kRecordFormat};
  AppendLittleEndian(kStoreFormat, 4, out);
  AppendLittleEndian(identity.node.value(), 8, out);
  out += identity.cluster_id;
  return Seal(std::move(out));
}

absl::StatusOr<StoreIdentity> DecodeIdentity(std::string_view record) {
  HOLDFAST_ASSIGN_OR_RETURN(std::string_view fields, Unseal(record, "store identity"));
  ByteReader in(fields);
  const uint64_t format = in.LittleEndian(4);
  if (in.ok() && format > kStoreFormat) {
    return MakeStatus(absl::StatusCode::kUnimplemented,
                      "the store has format {}, this build reads format {}: use a newer holdfastd",
                      format, kStoreFormat);
  }
  if (in.ok() && format < kStoreFormat) {
    return MakeStatus(
        absl::StatusCode::kUnimplemented,
        "the store has format {}, of a build before the first release; this build reads "
        "format {}: let the old build deliver its mail, then begin with an empty "
        "directory",
        format, kStoreFormat);
  }
  StoreIdentity identity;
  identity.node = NodeId(in.LittleEndian(8));
  identity.cluster_id = in.rest();
  if (!in.ok() || format == 0) return Damaged("store identity", "lengths do not add up");
  return identity;
}

std::string EncodeHardState(const HardState& hard_state) {
  std::string out{kRecordFormat};
  AppendLittleEndian(hard_state.term, 8, out);
  AppendLittleEndian(hard_state.vote.value(), 8, out);
  AppendLittleEndian(hard_state.commit, 8, out);
  return Seal(std::move(out));
}

absl::StatusOr<HardState> DecodeHardState(std::string_view record) {
  HOLDFAST_ASSIGN_OR_RETURN(std::string_view fields, Unseal(record, "hard state"));
  ByteReader in(fields);
  HardState hard_state;
  hard_state.term = in.LittleEndian(8);
  hard_state.vote = NodeId(in.LittleEndian(8));
  hard_state.commit = in.LittleEndian(8);
  if (!in.AtEnd()) return Damaged("hard state", "lengths do not add up");
  return hard_state;
}

std::string EncodeConfState(const ConfState& conf_state) {
  std::string out{kRecordFormat};
  AppendNodes(conf_state.voters, out);
  AppendNodes(conf_state.learners, out);
  AppendNodes(conf_state.voters_outgoing, out);
  AppendNodes(conf_state.learners_next, out);
  out.push_back(conf_state.auto_leave ? 1 : 0);
  return Seal(std::move(out));
}

absl::StatusOr<ConfState> DecodeConfState(std::string_view record) {
  HOLDFAST_ASSIGN_OR_RETURN(std::string_view fields, Unseal(record, "configuration"));
  ByteReader in(fields);
  ConfState conf_state;
  conf_state.voters = TakeNodes(in);
  conf_state.learners = TakeNodes(in);
  conf_state.voters_outgoing = TakeNodes(in);
  conf_state.learners_next = TakeNodes(in);
  conf_state.auto_leave = in.LittleEndian(1) != 0;
  if (!in.AtEnd()) return Damaged("configuration", "lengths do not add up");
  return conf_state;
}

std::string EncodeLogMark(const LogMark& mark) {
  std::string out{kRecordFormat};
  AppendLittleEndian(mark.index, 8, out);
  AppendLittleEndian(mark.term, 8, out);
  return Seal(std::move(out));
}

absl::StatusOr<LogMark> DecodeLogMark(std::string_view record) {
  HOLDFAST_ASSIGN_OR_RETURN(std::string_view fields, Unseal(record, "log beginning"));
  ByteReader in(fields);
  LogMark mark;
  mark.index = in.LittleEndian(8);
  mark.term = in.LittleEndian(8);
  if (!in.AtEnd()) return Damaged("log beginning", "lengths do not add up");
  return mark;
}

std::string EncodeNumber(uint64_t number) {
  std::string out{kRecordFormat};
  AppendLittleEndian(number, 8, out);
  return Seal(std::move(out));
}

absl::StatusOr<uint64_t> DecodeNumber(std::string_view record) {
  HOLDFAST_ASSIGN_OR_RETURN(std::string_view fields, Unseal(record, "number"));
  ByteReader in(fields);
  const uint64_t number = in.LittleEndian(8);
  if (!in.AtEnd()) return Damaged("number", "lengths do not add up");
  return number;
}

std::string EncodeStateRow(std::string_view value) {
  std::string out;
  out.reserve(1 + value.size());
  out.push_back(kRecordFormat);
  out += value;
  return out;
}

absl::StatusOr<std::string_view> DecodeStateRow(std::string_view record) {
  HOLDFAST_RETURN_IF_ERROR(CheckFormat(record, "state row"));
  return record.substr(1);
}

}  // namespace holdfast::raft
