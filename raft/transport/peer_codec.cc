#include "raft/transport/peer_codec.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/unknown_field_set.h>

#include <limits>
#include <memory>
#include <string>
#include <utility>

#include "base/crc32c.h"
#include "proto/peer.pb.h"

namespace holdfast::raft {
namespace {

using absl::StatusCode;

// Tags, lengths and numbers of a message without its variable parts; generous.
constexpr uint64_t kMessageFixedBytes = 128;
constexpr uint64_t kEntryFixedBytes = 48;
constexpr uint64_t kBodyFixedBytes = 40;
constexpr uint64_t kNodeIdBytesMax = 10;

template <typename... Args>
absl::Status Malformed(fmt::format_string<Args...> text, Args&&... args) {
  return MakeStatus(StatusCode::kInvalidArgument, text, std::forward<Args>(args)...);
}

absl::Status CheckBound(uint64_t value, uint64_t max, std::string_view what) {
  if (value <= max) return absl::OkStatus();
  return MakeStatus(StatusCode::kResourceExhausted, "{} {}, at most {} allowed", value, what, max);
}

// A field that we don't know may change the meaning of those that we know.
absl::Status CheckKnown(const google::protobuf::Message& message) {
  const auto& unknown = message.GetReflection()->GetUnknownFields(message);
  if (unknown.field_count() == 0) return absl::OkStatus();
  return MakeStatus(StatusCode::kUnimplemented, "unknown field {} in {}", unknown.field(0).number(),
                    message.GetDescriptor()->full_name());
}

absl::Status CheckShape(const Message& message) {
  const uint8_t type = static_cast<uint8_t>(message.type);
  if (IsLocalMessage(message.type)) return Malformed("message of local type {}", type);
  if (type > kMessageTypeMax) {
    return MakeStatus(StatusCode::kUnimplemented, "message of unknown type {}", type);
  }
  const bool with_entries =
      message.type == MessageType::kAppend || message.type == MessageType::kPropose;
  if (!message.entries.empty() && !with_entries) {
    return Malformed("entries in a message of type {}", type);
  }
  if ((message.type == MessageType::kSnapshot) != (message.snapshot != nullptr)) {
    return Malformed("message of type {} {} snapshot", type, message.snapshot ? "with" : "without");
  }
  HOLDFAST_RETURN_IF_ERROR(CheckBound(message.entries.size(), kMessageEntriesMax, "entries"));
  return CheckBound(message.context.size(), kContextBytesMax, "bytes of context");
}

absl::Status CheckBody(const Payload& body, LogIndex index, bool verify) {
  if (body.elided_by != 0) {
    if (body.bytes != nullptr) return Malformed("an elided body of entry {} has bytes", index);
    return absl::OkStatus();
  }
  if (body.bytes == nullptr) return Malformed("a body of entry {} has no bytes", index);
  if (body.bytes->size() != body.size) {
    return Malformed("a body of entry {} has {} bytes instead of {}", index, body.bytes->size(),
                     body.size);
  }
  if (verify && Crc32c(*body.bytes) != body.crc32c) {
    return Malformed("a body of entry {} does not match its checksum", index);
  }
  return absl::OkStatus();
}

absl::Status CheckEntry(const Entry& entry, bool verify) {
  HOLDFAST_RETURN_IF_ERROR(CheckBound(entry.bodies.size(), kEntryBodiesMax, "bodies"));
  HOLDFAST_RETURN_IF_ERROR(CheckBound(PayloadBytes(entry), kEntryBytesMax, "bytes in an entry"));
  for (const Payload& body : entry.bodies) {
    HOLDFAST_RETURN_IF_ERROR(CheckBody(body, entry.index, verify));
  }
  return absl::OkStatus();
}

absl::Status CheckConfiguration(const ConfState& conf) {
  for (const auto* nodes :
       {&conf.voters, &conf.learners, &conf.voters_outgoing, &conf.learners_next}) {
    HOLDFAST_RETURN_IF_ERROR(CheckBound(nodes->size(), kConfigurationNodesMax, "nodes"));
  }
  return absl::OkStatus();
}

void EncodeEntry(const Entry& entry, peer::Entry* out) {
  out->set_index(entry.index);
  out->set_term(entry.term);
  out->set_type(static_cast<uint32_t>(entry.type));
  out->set_command(entry.command);
  for (const Payload& body : entry.bodies) {
    peer::Body* to = out->add_bodies();
    if (body.elided_by == 0) to->set_bytes(*body.bytes);
    to->set_size_bytes(body.size);
    to->set_crc32c(body.crc32c);
    to->set_elided_by(body.elided_by);
  }
}

template <typename Field>
void EncodeNodes(const std::vector<NodeId>& nodes, Field* out) {
  for (NodeId node : nodes) out->Add(node.value());
}

template <typename Field>
std::vector<NodeId> DecodeNodes(const Field& nodes) {
  return std::vector<NodeId>(nodes.begin(), nodes.end());
}

void EncodeSnapshot(const Snapshot& snapshot, peer::Snapshot* out) {
  out->set_index(snapshot.index);
  out->set_term(snapshot.term);
  peer::Configuration* conf = out->mutable_configuration();
  EncodeNodes(snapshot.conf_state.voters, conf->mutable_voters());
  EncodeNodes(snapshot.conf_state.learners, conf->mutable_learners());
  EncodeNodes(snapshot.conf_state.voters_outgoing, conf->mutable_voters_outgoing());
  EncodeNodes(snapshot.conf_state.learners_next, conf->mutable_learners_next());
  conf->set_auto_leave(snapshot.conf_state.auto_leave);
  out->set_host(snapshot.data);
}

absl::StatusOr<Payload> DecodeBody(peer::Body* from) {
  HOLDFAST_RETURN_IF_ERROR(CheckKnown(*from));
  Payload body;
  body.size = from->size_bytes();
  body.crc32c = from->crc32c();
  body.elided_by = from->elided_by();
  if (body.elided_by == 0 || !from->bytes().empty()) {
    body.bytes = std::make_shared<const std::string>(std::move(*from->mutable_bytes()));
  }
  return body;
}

absl::StatusOr<Entry> DecodeEntry(peer::Entry* from) {
  HOLDFAST_RETURN_IF_ERROR(CheckKnown(*from));
  if (from->type() > static_cast<uint32_t>(EntryType::kConfChange)) {
    return MakeStatus(StatusCode::kUnimplemented, "entry of unknown type {}", from->type());
  }
  HOLDFAST_RETURN_IF_ERROR(CheckBound(from->bodies_size(), kEntryBodiesMax, "bodies"));
  Entry entry;
  entry.index = from->index();
  entry.term = from->term();
  entry.type = static_cast<EntryType>(from->type());
  entry.command = std::move(*from->mutable_command());
  entry.bodies.reserve(from->bodies_size());
  for (peer::Body& part : *from->mutable_bodies()) {
    HOLDFAST_ASSIGN_OR_RETURN(Payload body, DecodeBody(&part));
    entry.bodies.push_back(std::move(body));
  }
  HOLDFAST_RETURN_IF_ERROR(CheckEntry(entry, /*verify=*/true));
  return entry;
}

absl::StatusOr<std::shared_ptr<const Snapshot>> DecodeSnapshot(peer::Snapshot* from) {
  HOLDFAST_RETURN_IF_ERROR(CheckKnown(*from));
  HOLDFAST_RETURN_IF_ERROR(CheckKnown(from->configuration()));
  Snapshot snapshot;
  snapshot.index = from->index();
  snapshot.term = from->term();
  const peer::Configuration& conf = from->configuration();
  snapshot.conf_state.voters = DecodeNodes(conf.voters());
  snapshot.conf_state.learners = DecodeNodes(conf.learners());
  snapshot.conf_state.voters_outgoing = DecodeNodes(conf.voters_outgoing());
  snapshot.conf_state.learners_next = DecodeNodes(conf.learners_next());
  snapshot.conf_state.auto_leave = conf.auto_leave();
  snapshot.data = std::move(*from->mutable_host());
  HOLDFAST_RETURN_IF_ERROR(CheckConfiguration(snapshot.conf_state));
  return std::make_shared<const Snapshot>(std::move(snapshot));
}

absl::StatusOr<GroupMessage> DecodeMessage(peer::Message* from) {
  HOLDFAST_RETURN_IF_ERROR(CheckKnown(*from));
  if (from->type() > kMessageTypeMax) {
    return MakeStatus(StatusCode::kUnimplemented, "message of unknown type {}", from->type());
  }
  HOLDFAST_RETURN_IF_ERROR(CheckBound(from->entries_size(), kMessageEntriesMax, "entries"));
  Message message;
  message.type = static_cast<MessageType>(from->type());
  message.to = NodeId(from->to());
  message.from = NodeId(from->from());
  message.term = from->term();
  message.log_term = from->log_term();
  message.index = from->index();
  message.commit = from->commit();
  message.reject = from->reject();
  message.reject_hint = from->reject_hint();
  message.context = std::move(*from->mutable_context());
  message.entries.reserve(from->entries_size());
  for (peer::Entry& part : *from->mutable_entries()) {
    HOLDFAST_ASSIGN_OR_RETURN(Entry entry, DecodeEntry(&part));
    message.entries.push_back(std::move(entry));
  }
  if (from->has_snapshot()) {
    HOLDFAST_ASSIGN_OR_RETURN(message.snapshot, DecodeSnapshot(from->mutable_snapshot()));
  }
  HOLDFAST_RETURN_IF_ERROR(CheckShape(message));
  return GroupMessage{GroupId(from->group()), std::move(message)};
}

}  // namespace

bool IsBulk(const Message& message) {
  return !message.entries.empty() || message.snapshot != nullptr;
}

uint64_t FrameBytes(const Message& message) {
  uint64_t bytes = kMessageFixedBytes + message.context.size();
  for (const Entry& entry : message.entries) {
    bytes += kEntryFixedBytes + PayloadBytes(entry) + kBodyFixedBytes * entry.bodies.size();
  }
  if (message.snapshot == nullptr) return bytes;
  const ConfState& conf = message.snapshot->conf_state;
  const uint64_t nodes = conf.voters.size() + conf.learners.size() + conf.voters_outgoing.size() +
                         conf.learners_next.size();
  return bytes + kMessageFixedBytes + nodes * kNodeIdBytesMax + message.snapshot->data.size();
}

absl::Status EncodeMessage(GroupId group, const Message& message, peer::Message* out) {
  HOLDFAST_RETURN_IF_ERROR(CheckShape(message));
  for (const Entry& entry : message.entries) {
    HOLDFAST_RETURN_IF_ERROR(CheckEntry(entry, /*verify=*/false));
  }
  if (message.snapshot != nullptr) {
    HOLDFAST_RETURN_IF_ERROR(CheckConfiguration(message.snapshot->conf_state));
  }
  out->set_group(group.value());
  out->set_type(static_cast<uint32_t>(message.type));
  out->set_to(message.to.value());
  out->set_from(message.from.value());
  out->set_term(message.term);
  out->set_log_term(message.log_term);
  out->set_index(message.index);
  out->set_commit(message.commit);
  out->set_reject(message.reject);
  out->set_reject_hint(message.reject_hint);
  out->set_context(message.context);
  for (const Entry& entry : message.entries) EncodeEntry(entry, out->add_entries());
  if (message.snapshot != nullptr) EncodeSnapshot(*message.snapshot, out->mutable_snapshot());
  return absl::OkStatus();
}

absl::StatusOr<std::vector<GroupMessage>> DecodeFrame(peer::Frame* frame) {
  if (frame->format() != kPeerFormat) {
    return MakeStatus(StatusCode::kUnimplemented, "frame of format {}, not {}", frame->format(),
                      kPeerFormat);
  }
  HOLDFAST_RETURN_IF_ERROR(CheckKnown(*frame));
  HOLDFAST_RETURN_IF_ERROR(CheckBound(frame->messages_size(), kFrameMessagesMax, "messages"));
  std::vector<GroupMessage> messages;
  messages.reserve(frame->messages_size());
  for (peer::Message& part : *frame->mutable_messages()) {
    HOLDFAST_ASSIGN_OR_RETURN(GroupMessage message, DecodeMessage(&part));
    messages.push_back(std::move(message));
  }
  return messages;
}

absl::StatusOr<std::vector<GroupMessage>> DecodeFrameBytes(std::string_view bytes) {
  peer::Frame frame;
  if (bytes.size() > static_cast<size_t>(std::numeric_limits<int>::max()) ||
      !frame.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return Malformed("not a frame");
  }
  return DecodeFrame(&frame);
}

}  // namespace holdfast::raft
