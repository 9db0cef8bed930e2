// `holdfast status`: one node at a glance.
#include <CLI/CLI.hpp>

#include "base/text.h"
#include "ops/cli/session.h"
#include "ops/cli/table_print.h"

namespace holdfast::cli {
namespace {

void PrintStatus(const admin::StatusResponse& status, std::ostream& out) {
  out << format(
      "node {}  {}  version {}  {}\n", status.node_id(), Shown(status.hostname()),
      Shown(status.version()),
      status.ready() ? "accepts mail" : "refuses mail: " + Shown(status.not_ready_reason()));
  out << format("up since {}, policy version {}\n\n", TimeText(status.started()),
                status.policy_version());
  const admin::QueueCounts& queue = status.queue();
  out << format("queue        {}, {}, {} held, {} in doubt\n", CountOf(queue.messages(), "message"),
                CountOf(queue.recipients(), "recipient"), CountText(queue.held_messages()),
                CountText(queue.in_doubt_recipients()));
  out << format("sessions     {} in, {} out\n", CountText(status.sessions().inbound()),
                CountText(status.sessions().outbound()));
  const admin::TrafficCounts& traffic = status.traffic();
  out << format(
      "since start  {} accepted, {} delivered, {} deferred, {} bounced, {} expired, {} rejected\n",
      CountText(traffic.messages_accepted()), CountText(traffic.recipients_delivered()),
      CountText(traffic.recipients_deferred()), CountText(traffic.recipients_bounced()),
      CountText(traffic.recipients_expired()), CountText(traffic.commands_rejected()));
  const admin::StorageStatus& storage = status.storage();
  out << format("disk         {} free (reserve {}), {} stored\n",
                BytesText(storage.disk_free_bytes()), BytesText(storage.disk_reserve_bytes()),
                BytesText(storage.stored_bytes()));
  if (status.groups().empty()) return;
  out << '\n';
  Table groups({{"GROUP"},
                {"ROLE"},
                {"LEADER"},
                {"TERM", Align::kRight},
                {"COMMITTED", Align::kRight},
                {"APPLIED", Align::kRight},
                {"MESSAGES", Align::kRight}});
  for (const admin::GroupStatus& group : status.groups()) {
    groups.AddRow({group.group() == 0 ? "control" : format("{}", group.group()), group.role(),
                   group.leader_node_id() == 0 ? "none" : format("node {}", group.leader_node_id()),
                   format("{}", group.term()), CountText(group.commit_index()),
                   CountText(group.applied_index()), CountText(group.messages())});
  }
  groups.Print(out);
}

}  // namespace

void AddStatus(CLI::App& app, Session& session) {
  CLI::App* const status = app.add_subcommand("status", "How the node is");
  status->footer("Examples:\n  holdfast status\n  holdfast status --output json");
  session.OnRun(status, [&session] {
    admin::StatusResponse response;
    if (!session.Call(&admin::Admin::Stub::Status, admin::StatusRequest(), &response)) return;
    if (session.json()) {
      session.PrintJson(response);
    } else {
      PrintStatus(response, session.out());
    }
  });
}

}  // namespace holdfast::cli
