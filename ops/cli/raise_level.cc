// `holdfast cluster raise-level`: what an operator does when every node runs the new build.
#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "base/text.h"
#include "ops/cli/session.h"

namespace holdfast::cli {

void AddRaiseLevel(CLI::App& cluster, Session& session) {
  CLI::App* const raise = cluster.add_subcommand(
      "raise-level", "Let the cluster use what the new build of all its nodes brings, for good");
  auto request = std::make_shared<admin::ClusterRaiseLevelRequest>();
  raise->add_option_function<uint32_t>(
      "--to", [request](uint32_t level) { request->set_level(level); },
      "the new feature level; default: the highest that all nodes' builds speak");
  raise
      ->add_option_function<std::string>(
          "--reason", [request](const std::string& text) { request->set_reason(text); },
          "recorded in the audit trail")
      ->required();
  raise->footer(
      "Until then nodes can go back to the older build; afterwards that one refuses to start.\n"
      "Read docs/runbooks/upgrade.md first. `holdfast cluster status` shows what each node "
      "speaks.\n"
      "Examples:\n"
      "  holdfast cluster raise-level --reason 'all nodes run 0.2.0 since Monday'");
  session.OnRun(raise, [&session, request] {
    admin::ClusterRaiseLevelResponse response;
    if (!session.Call(&admin::Admin::Stub::ClusterRaiseLevel, *request, &response)) return;
    if (session.json()) {
      session.PrintJson(response);
    } else {
      session.out() << format("the cluster is at feature level {}, and was at {}\n",
                              response.level(), response.before());
    }
    if (!response.done()) {
      session.Fail(format(
          "not done when the time was up: {} of {} queue groups have followed. It goes on by "
          "itself: see `holdfast cluster status`",
          response.queue_groups_there(), response.queue_groups()));
    }
  });
}

}  // namespace holdfast::cli
