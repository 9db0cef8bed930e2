#include "node/control/control_nodes.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "node/control/control_rows.h"
#include "proto/command.pb.h"

namespace holdfast::node {
namespace {

constexpr std::string_view kNodePrefix = "node/";
constexpr std::string_view kVersionKey = "nodes/version";

NodeRow ReadNodeRow(std::string_view value) {
  RowReader in(value);
  NodeRow row;
  row.node = NodeId(in.Number());
  row.removed = in.Number() != 0;
  row.address = in.Text();
  row.replaces = NodeId(in.Number());
  row.token = in.Text();
  return row;
}

std::string KeyOf(uint64_t node) { return NumberedKey(kNodePrefix, node); }

const NodeRow* Find(NodeId node, const std::vector<NodeRow>& rows) {
  const auto row = std::find_if(rows.begin(), rows.end(),
                                [node](const NodeRow& one) { return one.node == node; });
  return row == rows.end() ? nullptr : &*row;
}

}  // namespace

// Who was removed had no place left to take (see IsReplacing), or never began.
std::vector<NodeId> PlacesTakenBy(NodeId node, const std::vector<NodeRow>& rows) {
  std::vector<NodeId> places;
  const NodeRow* row = Find(node, rows);
  while (row != nullptr && row->replaces != NodeId{} && places.size() < rows.size()) {
    const NodeId place = row->replaces;
    row = Find(place, rows);
    if (row != nullptr && row->removed) break;
    places.push_back(place);
  }
  return places;
}

bool IsReplacing(NodeId node, const std::vector<NodeRow>& rows) {
  const NodeRow* row = Find(node, rows);
  return row != nullptr && !row->token.empty() && !PlacesTakenBy(node, rows).empty();
}

uint64_t ControlNodes::Version() const {
  const std::optional<std::string> row = tables_.Get(kVersionKey);
  return row ? RowReader(*row).Number() : 0;
}

void ControlNodes::Put(const NodeRow& row) {
  tables_.Put(kVersionKey, RowWriter().Number(Version() + 1).row());
  tables_.Put(KeyOf(row.node.value()), RowWriter()
                                           .Number(row.node.value())
                                           .Number(row.removed ? 1 : 0)
                                           .Text(row.address)
                                           .Number(row.replaces.value())
                                           .Text(row.token)
                                           .row());
}

ControlVerdict ControlNodes::Add(const command::AddNode& add) {
  if (tables_.Get(KeyOf(add.node_id()))) return ControlVerdict::kKnownNode;
  Put({NodeId(add.node_id()), false, add.address(), NodeId(add.replaces_node_id()), ""});
  return ControlVerdict::kApplied;
}

ControlVerdict ControlNodes::Admit(const command::AdmitNode& admit) {
  const std::optional<std::string> value = tables_.Get(KeyOf(admit.node_id()));
  if (!value) return ControlVerdict::kUnknownNode;
  NodeRow row = ReadNodeRow(*value);
  if (row.removed) return ControlVerdict::kUnknownNode;
  if (!row.token.empty() && row.token != admit.token()) return ControlVerdict::kOtherToken;
  row.token = admit.token();
  Put(row);
  return ControlVerdict::kApplied;
}

ControlVerdict ControlNodes::Remove(const command::RemoveNode& remove) {
  const uint64_t expected = remove.expected_list_version();
  if (expected != 0 && expected != Version() + 1) return ControlVerdict::kListChanged;
  const std::optional<std::string> value = tables_.Get(KeyOf(remove.node_id()));
  NodeRow row = value ? ReadNodeRow(*value) : NodeRow{NodeId(remove.node_id()), false, "", {}, ""};
  if (!row.removed && IsReplacing(row.node, All())) return ControlVerdict::kReplacing;
  row.removed = true;
  Put(row);
  return ControlVerdict::kApplied;
}

std::vector<NodeRow> ControlNodes::All() const {
  std::vector<NodeRow> rows;
  tables_.Scan(kNodePrefix, kNodePrefix, [&rows](std::string_view, std::string_view value) {
    rows.push_back(ReadNodeRow(value));
    return true;
  });
  return rows;
}

}  // namespace holdfast::node
