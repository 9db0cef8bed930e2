// `holdfast cluster ...` and `holdfast node ...`: the nodes, who leads what, and taking a node out
// for a while.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "base/text.h"
#include "ops/cli/session.h"
#include "ops/cli/table_print.h"

namespace holdfast::cli {
namespace {

std::string StateText(const admin::ClusterNode& node) {
  switch (node.state()) {
    case admin::UP:
      return "up";
    case admin::NOT_READY:
      return "not ready";
    case admin::DRAINING:
      return "draining";
    case admin::SILENT:
      break;
    default:
      return "unknown";
  }
  if (!node.has_heard_ms_ago()) return "never heard";
  return format("silent {} s", node.heard_ms_ago() / 1000);
}

std::string LagText(const admin::ClusterGroup& group) {
  std::string text;
  for (const admin::ClusterMember& member : group.members()) {
    if (!text.empty()) text += "  ";
    text += format("{}{}:{}", member.node_id(), member.learner() ? " learner" : "",
                   member.active() ? CountText(member.entries_behind()) : "away");
  }
  return text.empty() ? "-" : text;
}

void PrintNodes(const admin::ClusterStatusResponse& status, std::ostream& out) {
  Table nodes({{"NODE"},
               {"ADDRESS"},
               {"HOSTNAME"},
               {"STATE"},
               {"LEADS", Align::kRight},
               {"LOAD", Align::kRight},
               {"DISK FREE", Align::kRight},
               {"ACCEPTED", Align::kRight},
               {"DELIVERED", Align::kRight},
               {"LEVEL", Align::kRight},
               {"VERSION"}});
  for (const admin::ClusterNode& node : status.nodes()) {
    const bool heard = node.has_heard_ms_ago();
    const std::string leads =
        (node.leads_control() ? "control+" : "") + CountText(node.groups_led());
    nodes.AddRow({format("{}{}", node.node_id(), node.node_id() == status.node_id() ? " *" : ""),
                  Shown(node.address()).empty() ? "-" : Shown(node.address()),
                  heard ? Shown(node.hostname()) : "-", StateText(node), leads,
                  heard ? format("{} %{}", node.load_permille() / 10,
                                 node.load_part().empty() ? "" : " " + Shown(node.load_part()))
                        : "-",
                  heard ? BytesText(node.disk_free_bytes()) : "-",
                  heard ? CountText(node.messages_accepted()) : "-",
                  heard ? CountText(node.recipients_delivered()) : "-",
                  heard ? format("{}", node.feature_level()) : "-",
                  heard ? Shown(node.version()) : "-"});
  }
  nodes.Print(out);
  for (const admin::ClusterNode& node : status.nodes()) {
    if (!node.not_ready_reason().empty()) {
      out << format("node {} refuses mail: {}\n", node.node_id(), Shown(node.not_ready_reason()));
    }
    if (node.overloaded() || node.recovering()) {
      out << format("node {} {}: {}\n", node.node_id(),
                    node.overloaded() ? "is overloaded, groups leave it"
                                      : "was overloaded, groups stay away until it is calm",
                    Shown(node.load_reason()));
    }
    if (node.has_handed_over()) {
      out << format("node {} handed group {} over at {}: {}\n", node.node_id(),
                    node.handed_over_group(), TimeText(node.handed_over()),
                    Shown(node.handed_over_reason()));
    }
    if (std::abs(node.clock_ahead_ms()) > 5000) {
      out << format("node {}'s clock is {} s {} of this node's\n", node.node_id(),
                    std::abs(node.clock_ahead_ms()) / 1000,
                    node.clock_ahead_ms() > 0 ? "ahead" : "behind");
    }
  }
}

std::string LevelAdvice(const admin::ClusterStatusResponse& status) {
  if (status.feature_level_possible() > status.feature_level()) {
    return format(" (all nodes speak {}: `holdfast cluster raise-level`)",
                  status.feature_level_possible());
  }
  for (const admin::ClusterGroup& group : status.groups()) {
    if (group.group() == 0 || group.state_version() >= status.feature_level()) continue;
    return format(" (group {} is still at {})", group.group(), group.state_version());
  }
  return "";
}

void PrintCluster(const admin::ClusterStatusResponse& status, std::ostream& out) {
  out << format("cluster {}, as node {} sees it (*); feature level {}{}\n\n",
                Shown(status.cluster_id()), status.node_id(), status.feature_level(),
                LevelAdvice(status));
  PrintNodes(status, out);
  out << '\n';
  Table groups({{"GROUP"},
                {"LEADER"},
                {"HOME"},
                {"TERM", Align::kRight},
                {"COMMITTED", Align::kRight},
                {"MESSAGES", Align::kRight},
                {"ENTRIES BEHIND (NODE:COUNT)"}});
  for (const admin::ClusterGroup& group : status.groups()) {
    groups.AddRow({group.group() == 0 ? "control" : format("{}", group.group()),
                   group.leader_node_id() == 0 ? "none" : format("node {}", group.leader_node_id()),
                   format("node {}", group.home_node_id()), format("{}", group.term()),
                   CountText(group.commit_index()), CountText(group.messages()), LagText(group)});
  }
  groups.Print(out);
}

void PrintChecksums(const admin::ClusterChecksumsResponse& response, std::ostream& out) {
  out << format("replicas of node {}: equal to those of others that have applied as much\n\n",
                response.node_id());
  Table groups({{"GROUP"},
                {"APPLIED", Align::kRight},
                {"TERM", Align::kRight},
                {"ROWS", Align::kRight},
                {"CHECKSUM"}});
  for (const admin::GroupChecksum& group : response.groups()) {
    groups.AddRow({group.group() == 0 ? "control" : format("{}", group.group()),
                   CountText(group.applied_index()), format("{}", group.applied_term()),
                   CountText(group.rows()), Shown(group.checksum())});
  }
  groups.Print(out);
}

void RunChecksums(Session& session) {
  admin::ClusterChecksumsResponse response;
  if (!session.Call(&admin::Admin::Stub::ClusterChecksums, admin::ClusterChecksumsRequest(),
                    &response)) {
    return;
  }
  if (session.json()) {
    session.PrintJson(response);
  } else {
    PrintChecksums(response, session.out());
  }
}

void AddClusterStatus(CLI::App& cluster, Session& session) {
  CLI::App* const status = cluster.add_subcommand("status", "Nodes, groups, leaders, lag and load");
  auto checksums = std::make_shared<bool>(false);
  status->add_flag(
      "--checksums", *checksums,
      "instead: a checksum of each of the asked node's replicas, reading all their rows");
  status->footer(
      "Examples:\n  holdfast cluster status\n  holdfast cluster status --output json\n"
      "  holdfast cluster status --checksums");
  session.OnRun(status, [&session, checksums] {
    if (*checksums) return RunChecksums(session);
    admin::ClusterStatusResponse response;
    if (!session.Call(&admin::Admin::Stub::ClusterStatus, admin::ClusterStatusRequest(),
                      &response)) {
      return;
    }
    if (session.json()) {
      session.PrintJson(response);
    } else {
      PrintCluster(response, session.out());
    }
  });
}

void AddTransfer(CLI::App& cluster, Session& session) {
  CLI::App* const transfer =
      cluster.add_subcommand("transfer", "Hand the leadership of one group to a node");
  auto request = std::make_shared<admin::ClusterTransferRequest>();
  transfer
      ->add_option_function<uint32_t>(
          "--group", [request](uint32_t group) { request->set_group(group); },
          "0 is the control group")
      ->required();
  transfer
      ->add_option_function<uint64_t>(
          "--to", [request](uint64_t node) { request->set_to_node_id(node); }, "the new leader")
      ->required();
  transfer->footer(
      "Balance brings the group home again after a minute or so.\n"
      "Examples:\n  holdfast cluster transfer --group 3 --to 2");
  session.OnRun(transfer, [&session, request] {
    admin::ClusterTransferResponse response;
    if (!session.Call(&admin::Admin::Stub::ClusterTransfer, *request, &response)) return;
    if (session.json()) {
      session.PrintJson(response);
    } else {
      session.out() << format("node {} leads group {}\n", response.leader_node_id(),
                              request->group());
    }
  });
}

// What AwaitMembers() counted when the time was up.
std::string ProgressText(const admin::ClusterMembersResponse& response) {
  std::string text = format("votes in {} of {} groups, learns in {}", response.groups_voting(),
                            response.groups(), response.groups_learning());
  if (response.groups_replaced_left() != 0) {
    text += format("; the node that it replaces is still in {}", response.groups_replaced_left());
  }
  return text;
}

void AddJoin(CLI::App& cluster, Session& session) {
  CLI::App* const join = cluster.add_subcommand(
      "join", "Add a node, let it catch up, and make it a voter of every group");
  auto request = std::make_shared<admin::ClusterJoinRequest>();
  join->add_option_function<uint64_t>(
          "--node", [request](uint64_t node) { request->set_node_id(node); },
          "id of the new node, never used before in this cluster")
      ->required();
  join->add_option_function<std::string>(
          "--address", [request](const std::string& text) { request->set_address(text); },
          "its cluster.address as the others reach it, as node4.example.com:7026")
      ->required();
  join->add_option_function<uint64_t>(
      "--replaces", [request](uint64_t node) { request->set_replaces_node_id(node); },
      "a member, dead or alive, whose place it takes in every group");
  join->add_option_function<std::string>(
          "--reason", [request](const std::string& text) { request->set_reason(text); },
          "recorded in the audit trail")
      ->required();
  join->footer(
      "Start the new node with `join: true` and the members as `peers` in `cluster` of its node\n"
      "file, before or after this. It goes on when this command has ended.\n"
      "Examples:\n"
      "  holdfast cluster join --node 4 --address node4.example.com:7026 --reason 'more disk' "
      "--timeout 300\n"
      "  holdfast cluster join --node 4 --address node4.example.com:7026 --replaces 2 --reason "
      "'node 2 burnt'");
  session.OnRun(join, [&session, request] {
    admin::ClusterMembersResponse response;
    if (!session.Call(&admin::Admin::Stub::ClusterJoin, *request, &response)) return;
    if (session.json()) {
      session.PrintJson(response);
    } else if (response.done()) {
      session.out() << format("node {} is a voter of all {} groups\n", request->node_id(),
                              response.groups());
    }
    if (!response.done()) {
      session.Fail(
          format("not done when the time was up: node {} {}. It goes on by itself: see "
                 "`holdfast cluster status`",
                 request->node_id(), ProgressText(response)));
    }
  });
}

void AddRemove(CLI::App& cluster, Session& session) {
  CLI::App* const remove =
      cluster.add_subcommand("remove", "Take a node, dead or alive, out of every group for good");
  auto request = std::make_shared<admin::ClusterRemoveRequest>();
  remove
      ->add_option_function<uint64_t>(
          "--node", [request](uint64_t node) { request->set_node_id(node); }, "who is to go")
      ->required();
  remove
      ->add_option_function<std::string>(
          "--reason", [request](const std::string& text) { request->set_reason(text); },
          "recorded in the audit trail")
      ->required();
  remove->footer(
      "Drain a node that lives first. Its id is not used again: what is left of it may come back\n"
      "with `cluster join` under a new id and with an empty directory.\n"
      "Examples:\n  holdfast cluster remove --node 2 --reason 'retired'");
  session.OnRun(remove, [&session, request] {
    admin::ClusterMembersResponse response;
    if (!session.Call(&admin::Admin::Stub::ClusterRemove, *request, &response)) return;
    if (session.json()) {
      session.PrintJson(response);
    } else if (response.done()) {
      session.out() << format("node {} is in no group any more\n", request->node_id());
    }
    if (!response.done()) {
      session.Fail(
          format("not done when the time was up: node {} {}. It goes on by itself: see "
                 "`holdfast cluster status`",
                 request->node_id(), ProgressText(response)));
    }
  });
}

void AddDrain(CLI::App& node, Session& session) {
  CLI::App* const drain = node.add_subcommand(
      "drain", "Make the asked node lead nothing and take no mail, and wait until it is idle");
  auto request = std::make_shared<admin::NodeDrainRequest>();
  drain->add_option_function<uint32_t>(
      "--deadline", [request](uint32_t seconds) { request->set_deadline_seconds(seconds); },
      "seconds to wait for attempts and sessions; default: the node's drain_deadline");
  drain->footer(
      "Give --timeout (of the whole command) more than the deadline.\n"
      "Exit code 0: the node can be stopped, nothing will be repeated. 1: something was left.\n"
      "Examples:\n  holdfast node drain --timeout 60 && systemctl restart holdfast\n"
      "  holdfast node undrain");
  session.OnRun(drain, [&session, request] {
    admin::NodeDrainResponse response;
    if (!session.Call(&admin::Admin::Stub::NodeDrain, *request, &response)) return;
    if (session.json()) {
      session.PrintJson(response);
    } else if (response.done()) {
      session.out() << "drained: the node leads nothing, and nothing is under way\n";
    }
    if (!response.done()) {
      session.Fail(format(
          "not idle when the time was up: {} led, {}, {}; attempts that are cut "
          "will be listed in doubt",
          CountOf(response.groups_led(), "group"), CountOf(response.attempts_running(), "attempt"),
          CountOf(response.sessions(), "session")));
    }
  });
}

void AddUndrain(CLI::App& node, Session& session) {
  CLI::App* const undrain = node.add_subcommand("undrain", "Let the asked node take part again");
  undrain->footer("Examples:\n  holdfast node undrain");
  session.OnRun(undrain, [&session] {
    admin::NodeUndrainResponse response;
    if (!session.Call(&admin::Admin::Stub::NodeUndrain, admin::NodeUndrainRequest(), &response)) {
      return;
    }
    if (session.json()) {
      session.PrintJson(response);
    } else {
      session.out() << "the node takes part again\n";
    }
  });
}

}  // namespace

void AddCluster(CLI::App& app, Session& session) {
  CLI::App* const cluster = app.add_subcommand("cluster", "The nodes and who leads what");
  cluster->require_subcommand(1);
  AddClusterStatus(*cluster, session);
  AddTransfer(*cluster, session);
  AddJoin(*cluster, session);
  AddRemove(*cluster, session);
  AddRaiseLevel(*cluster, session);
  AddRecover(*cluster, session);
}

void AddNode(CLI::App& app, Session& session) {
  CLI::App* const node = app.add_subcommand("node", "Take the asked node out for a while");
  node->require_subcommand(1);
  AddDrain(*node, session);
  AddUndrain(*node, session);
}

}  // namespace holdfast::cli
