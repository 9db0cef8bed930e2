#include "node/peers/forming.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/text.h"

namespace holdfast::node {
namespace {

constexpr size_t kTokenDigits = 32;
constexpr std::string_view kFirstLine = "holdfast forming 1";

bool IsToken(std::string_view text) {
  return text.size() == kTokenDigits &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string NodesText(const std::vector<NodeId>& nodes) {
  std::string text;
  for (const NodeId node : nodes) text += format("{}{}", text.empty() ? "" : ", ", node.value());
  return text;
}

absl::Status Refuse(std::string text) { return absl::FailedPreconditionError(text); }

}  // namespace

std::string FormingRecord::ToText() const {
  std::string text = format("{}\ntoken {}\n", kFirstLine, token);
  for (const auto& [node, its] : tokens) text += format("node {} {}\n", node.value(), its);
  if (formed) text += "formed\n";
  if (!incarnation.empty()) text += format("incarnation {}\n", incarnation);
  return text;
}

absl::StatusOr<FormingRecord> FormingRecord::FromText(std::string_view text) {
  const absl::Status bad = absl::DataLossError("the forming record is damaged");
  FormingRecord record;
  bool first = true;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) return bad;
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    if (std::exchange(first, false)) {
      if (line != kFirstLine) return bad;
    } else if (line.starts_with("token ")) {
      record.token = line.substr(6);
    } else if (line.starts_with("node ")) {
      line.remove_prefix(5);
      uint64_t node = 0;
      const auto read = std::from_chars(line.data(), line.data() + line.size(), node);
      if (read.ec != std::errc() || node == 0) return bad;
      line.remove_prefix(static_cast<size_t>(read.ptr - line.data()));
      if (!line.starts_with(' ') || !IsToken(line.substr(1))) return bad;
      record.tokens[NodeId{node}] = line.substr(1);
    } else if (line == "formed") {
      record.formed = true;
    } else if (line.starts_with("incarnation ") && IsToken(line.substr(12))) {
      record.incarnation = line.substr(12);
    } else {
      return bad;
    }
  }
  if (!IsToken(record.token)) return bad;
  return record;
}

Forming::Forming(NodeId self, std::vector<NodeId> nodes, uint32_t queue_groups,
                 FormingRecord record, bool formed)
    : self_(self),
      nodes_(std::move(nodes)),
      queue_groups_(queue_groups),
      token_(std::move(record.token)),
      tokens_(std::move(record.tokens)),
      incarnation_(std::move(record.incarnation)),
      formed_(formed) {
  tokens_[self_] = token_;
}

void Forming::StartRound() {
  if (formed_) return;
  tokens_.clear();
  tokens_[self_] = token_;
}

peer_call::Forming Forming::Say() const {
  peer_call::Forming said;
  said.set_token(token_);
  said.set_formed(formed_);
  said.set_queue_groups(queue_groups_);
  for (const NodeId node : nodes_) said.add_nodes(node.value());
  if (!formed_) return said;
  for (const auto& [node, token] : tokens_) {
    peer_call::FormingToken& one = *said.add_tokens();
    one.set_node_id(node.value());
    one.set_token(token);
  }
  return said;
}

absl::Status Forming::OnSaid(NodeId peer, const peer_call::Forming& said) {
  if (std::find(nodes_.begin(), nodes_.end(), peer) == nodes_.end()) {
    return Refuse(format("node {} calls, which is not among our peers ({}): the node files differ",
                         peer.value(), NodesText(nodes_)));
  }
  std::vector<NodeId> nodes;
  for (const uint64_t node : said.nodes()) nodes.emplace_back(node);
  if (said.formed()) {
    // It made its store: what counts is whether it saw this life of ours.
    for (const peer_call::FormingToken& one : said.tokens()) {
      if (one.node_id() != self_.value()) continue;
      if (one.token() == token_) {
        tokens_[peer] = said.token();
        return absl::OkStatus();
      }
    }
    return Refuse(
        format("node {} belongs to a cluster in which node {} took part with another data "
               "directory than this empty one. If that directory is lost, remove node {} from the "
               "cluster and let it join under a new id; if this is to be a new cluster, empty the "
               "data directories of all nodes",
               peer.value(), self_.value(), self_.value()));
  }
  if (nodes != nodes_ || said.queue_groups() != queue_groups_) {
    return Refuse(format(
        "node {} lists the nodes {} and {} queue groups, this one {} and {}: give "
        "all first nodes of the cluster the same peers",
        peer.value(), NodesText(nodes), said.queue_groups(), NodesText(nodes_), queue_groups_));
  }
  if (!IsToken(said.token())) return absl::InvalidArgumentError("a malformed forming token");
  tokens_[peer] = said.token();
  return absl::OkStatus();
}

std::vector<NodeId> Forming::Missing() const {
  std::vector<NodeId> missing;
  for (const NodeId node : nodes_) {
    if (!tokens_.contains(node)) missing.push_back(node);
  }
  return missing;
}

FormingRecord Forming::record() const { return {token_, tokens_, formed_, incarnation_}; }

}  // namespace holdfast::node
