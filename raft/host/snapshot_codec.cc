#include "raft/host/snapshot_codec.h"

#include <google/protobuf/message.h>
#include <google/protobuf/unknown_field_set.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "base/check.h"
#include "proto/snapshot.pb.h"

namespace holdfast::raft {
namespace {

constexpr uint32_t kFormat = 1;
constexpr size_t kLengthBytes = 4;

absl::Status Malformed(std::string_view what) {
  return MakeStatus(absl::StatusCode::kInvalidArgument, "snapshot: {}", what);
}

// A field that we don't know may change the meaning of those that we know.
absl::Status CheckKnown(const google::protobuf::Message& message) {
  if (message.GetReflection()->GetUnknownFields(message).field_count() == 0) {
    return absl::OkStatus();
  }
  return absl::UnimplementedError("snapshot: an unknown field");
}

absl::Status CheckBound(uint64_t value, uint64_t max, std::string_view what) {
  if (value <= max) return absl::OkStatus();
  return MakeStatus(absl::StatusCode::kResourceExhausted, "snapshot: {} {}, at most {} allowed",
                    value, what, max);
}

template <typename Field>
void EncodeNodes(const std::vector<NodeId>& nodes, Field* out) {
  for (NodeId node : nodes) out->Add(node.value());
}

template <typename Field>
absl::Status DecodeNodes(const Field& nodes, const SnapshotLimits& limits,
                         std::vector<NodeId>& out) {
  HOLDFAST_RETURN_IF_ERROR(CheckBound(nodes.size(), limits.nodes_max, "nodes"));
  for (const uint64_t node : nodes) {
    if (node == 0) return Malformed("a node without a number");
    out.push_back(NodeId(node));
  }
  return absl::OkStatus();
}

absl::StatusOr<SnapshotRequest> DecodeBodies(const snapshot::BodiesRequest& from,
                                             const SnapshotLimits& limits) {
  HOLDFAST_RETURN_IF_ERROR(CheckKnown(from));
  HOLDFAST_RETURN_IF_ERROR(CheckBound(from.keys_size(), limits.keys_max, "keys"));
  if (from.keys().empty()) return Malformed("a request for no bodies");
  BodiesRequest bodies{GroupId(from.group()), {}, from.mending()};
  for (const snapshot::BodyKey& key : from.keys()) {
    HOLDFAST_RETURN_IF_ERROR(CheckKnown(key));
    if (key.index() == 0 || key.term() == 0) return Malformed("a key of no entry");
    bodies.keys.push_back({bodies.group, key.index(), key.term(), key.ordinal()});
  }
  return bodies;
}

absl::StatusOr<SnapshotRecord> DecodeMark(const snapshot::Mark& from,
                                          const SnapshotLimits& limits) {
  HOLDFAST_RETURN_IF_ERROR(CheckKnown(from));
  if (from.index() == 0 || from.term() == 0) return Malformed("a mark of no entry");
  StateView::Mark mark{from.index(), from.term(), {}};
  ConfState& conf = mark.conf_state;
  HOLDFAST_RETURN_IF_ERROR(DecodeNodes(from.voters(), limits, conf.voters));
  HOLDFAST_RETURN_IF_ERROR(DecodeNodes(from.learners(), limits, conf.learners));
  HOLDFAST_RETURN_IF_ERROR(DecodeNodes(from.voters_outgoing(), limits, conf.voters_outgoing));
  HOLDFAST_RETURN_IF_ERROR(DecodeNodes(from.learners_next(), limits, conf.learners_next));
  conf.auto_leave = from.auto_leave();
  if (conf.voters.empty()) return Malformed("a configuration without voters");
  return mark;
}

absl::StatusOr<SnapshotRecord> DecodeRows(snapshot::Rows& from) {
  HOLDFAST_RETURN_IF_ERROR(CheckKnown(from));
  if (from.rows().empty()) return Malformed("a record of no rows");
  std::vector<StateView::Row> rows;
  rows.reserve(from.rows_size());
  for (snapshot::Row& row : *from.mutable_rows()) {
    HOLDFAST_RETURN_IF_ERROR(CheckKnown(row));
    if (row.key().size() > kStateKeyBytesMax) return Malformed("a key that is too long");
    if (!rows.empty() && row.key() <= rows.back().key) return Malformed("keys out of order");
    rows.push_back({std::move(*row.mutable_key()), std::move(*row.mutable_value())});
  }
  return rows;
}

absl::StatusOr<SnapshotRecord> DecodeRecord(std::string_view bytes, const SnapshotLimits& limits) {
  snapshot::Record record;
  if (!record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return Malformed("a record that is none");
  }
  HOLDFAST_RETURN_IF_ERROR(CheckKnown(record));
  switch (record.kind_case()) {
    case snapshot::Record::kMark:
      return DecodeMark(record.mark(), limits);
    case snapshot::Record::kRows:
      return DecodeRows(*record.mutable_rows());
    case snapshot::Record::kBody:
      HOLDFAST_RETURN_IF_ERROR(CheckKnown(record.body()));
      return BodyRecord{record.body().position(),
                        std::move(*record.mutable_body()->mutable_bytes())};
    case snapshot::Record::kElided:
      HOLDFAST_RETURN_IF_ERROR(CheckKnown(record.elided()));
      if (record.elided().by() == 0) return Malformed("a body elided by no entry");
      return ElidedRecord{record.elided().position(), record.elided().by()};
    case snapshot::Record::kEnd:
      HOLDFAST_RETURN_IF_ERROR(CheckKnown(record.end()));
      return EndRecord{};
    case snapshot::Record::KIND_NOT_SET:
      break;
  }
  return Malformed("an empty record");
}

struct RecordEncoder {
  snapshot::Record& out;

  void operator()(const StateView::Mark& mark) const {
    snapshot::Mark& to = *out.mutable_mark();
    to.set_index(mark.index);
    to.set_term(mark.term);
    EncodeNodes(mark.conf_state.voters, to.mutable_voters());
    EncodeNodes(mark.conf_state.learners, to.mutable_learners());
    EncodeNodes(mark.conf_state.voters_outgoing, to.mutable_voters_outgoing());
    EncodeNodes(mark.conf_state.learners_next, to.mutable_learners_next());
    to.set_auto_leave(mark.conf_state.auto_leave);
  }
  void operator()(const std::vector<StateView::Row>& rows) const {
    for (const StateView::Row& row : rows) {
      snapshot::Row& to = *out.mutable_rows()->add_rows();
      to.set_key(row.key);
      to.set_value(row.value);
    }
  }
  void operator()(const BodyRecord& body) const {
    out.mutable_body()->set_position(body.position);
    out.mutable_body()->set_bytes(body.bytes);
  }
  void operator()(const ElidedRecord& elided) const {
    out.mutable_elided()->set_position(elided.position);
    out.mutable_elided()->set_by(elided.by);
  }
  void operator()(const EndRecord&) const { out.mutable_end(); }
};

uint32_t LengthAt(const std::string& bytes, size_t offset) {
  uint32_t length = 0;
  for (size_t i = kLengthBytes; i-- > 0;) {
    length = (length << 8) | static_cast<unsigned char>(bytes[offset + i]);
  }
  return length;
}

// Forgets the first `taken` bytes once they are the larger part: the rest is then moved seldom.
void DropTaken(std::string& bytes, size_t& taken) {
  if (taken < bytes.size() - taken) return;
  bytes.erase(0, taken);
  taken = 0;
}

}  // namespace

std::string EncodeSnapshotRequest(const SnapshotRequest& request) {
  snapshot::Request out;
  out.set_format(kFormat);
  if (const auto* rows = std::get_if<RowsRequest>(&request)) {
    out.mutable_rows()->set_group(rows->group.value());
  } else if (const auto* bodies = std::get_if<BodiesRequest>(&request)) {
    out.mutable_bodies()->set_group(bodies->group.value());
    out.mutable_bodies()->set_mending(bodies->mending);
    for (const BodyKey& key : bodies->keys) {
      snapshot::BodyKey& to = *out.mutable_bodies()->add_keys();
      to.set_index(key.index);
      to.set_term(key.term);
      to.set_ordinal(key.ordinal);
    }
  } else {
    out.mutable_waiting();
    for (GroupId group : std::get<WaitingRequest>(request).groups) {
      out.mutable_waiting()->add_groups(group.value());
    }
  }
  return out.SerializeAsString();
}

absl::StatusOr<SnapshotRequest> DecodeSnapshotRequest(std::string_view bytes,
                                                      const SnapshotLimits& limits) {
  snapshot::Request request;
  if (bytes.size() > limits.record_bytes_max ||
      !request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return Malformed("a request that is none");
  }
  if (request.format() != kFormat) {
    return MakeStatus(absl::StatusCode::kUnimplemented, "snapshot: a request of format {}, not {}",
                      request.format(), kFormat);
  }
  HOLDFAST_RETURN_IF_ERROR(CheckKnown(request));
  switch (request.kind_case()) {
    case snapshot::Request::kRows:
      HOLDFAST_RETURN_IF_ERROR(CheckKnown(request.rows()));
      return RowsRequest{GroupId(request.rows().group())};
    case snapshot::Request::kBodies:
      return DecodeBodies(request.bodies(), limits);
    case snapshot::Request::kWaiting: {
      HOLDFAST_RETURN_IF_ERROR(CheckKnown(request.waiting()));
      const auto& groups = request.waiting().groups();
      HOLDFAST_RETURN_IF_ERROR(CheckBound(groups.size(), limits.waiting_groups_max, "groups"));
      return WaitingRequest{std::vector<GroupId>(groups.begin(), groups.end())};
    }
    case snapshot::Request::KIND_NOT_SET:
      break;
  }
  return Malformed("a request for nothing");
}

void RecordCutter::Add(const SnapshotRecord& record) {
  snapshot::Record out;
  std::visit(RecordEncoder{out}, record);
  const size_t length = out.ByteSizeLong();
  HOLDFAST_CHECK(length <= std::numeric_limits<int32_t>::max()) << "a record of " << length;
  for (size_t i = 0; i < kLengthBytes; ++i) {
    waiting_.push_back(static_cast<char>(length >> (8 * i)));
  }
  out.AppendToString(&waiting_);
}

std::string RecordCutter::Take(uint64_t bytes_max) {
  std::string piece = waiting_.substr(taken_, bytes_max);
  taken_ += piece.size();
  DropTaken(waiting_, taken_);
  return piece;
}

absl::Status RecordJoiner::Feed(std::string_view piece) {
  // What waits is less than one record, if the caller took all that Next() had.
  HOLDFAST_RETURN_IF_ERROR(CheckBound(waiting_.size() - taken_,
                                      limits_.record_bytes_max + kLengthBytes, "bytes that wait"));
  waiting_.append(piece);
  return absl::OkStatus();
}

absl::StatusOr<std::optional<SnapshotRecord>> RecordJoiner::Next() {
  const size_t have = waiting_.size() - taken_;
  if (have < kLengthBytes) return std::nullopt;
  const uint32_t length = LengthAt(waiting_, taken_);
  HOLDFAST_RETURN_IF_ERROR(CheckBound(length, limits_.record_bytes_max, "bytes in a record"));
  if (have - kLengthBytes < length) return std::nullopt;
  absl::StatusOr<SnapshotRecord> record =
      DecodeRecord(std::string_view(waiting_).substr(taken_ + kLengthBytes, length), limits_);
  HOLDFAST_RETURN_IF_ERROR(record.status());
  taken_ += kLengthBytes + length;
  DropTaken(waiting_, taken_);
  return *std::move(record);
}

}  // namespace holdfast::raft
