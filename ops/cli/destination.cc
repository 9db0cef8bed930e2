// `holdfast destination ...`: what a node's attempts take of the limits of destinations.
#include <CLI/CLI.hpp>
#include <memory>

#include "base/text.h"
#include "ops/cli/session.h"
#include "ops/cli/table_print.h"

namespace holdfast::cli {
namespace {

void PrintDestinations(const admin::DestinationListResponse& list, std::ostream& out) {
  out << format("attempts of node {}\n\n", list.node_id());
  Table table({{"DESTINATION"},
               {"RUNNING", Align::kRight},
               {"OPEN", Align::kRight},
               {"WANTED", Align::kRight},
               {"SHARE", Align::kRight},
               {"LIMIT", Align::kRight},
               {"RATE SHARE", Align::kRight},
               {"RATE LIMIT"}});
  for (const admin::DestinationUse& use : list.destinations()) {
    const bool rated = use.rate_limit() > 0;
    table.AddRow(
        {Shown(use.destination(), 60), CountText(use.running()), CountText(use.open()),
         CountText(use.wanted()), CountText(use.share()), CountText(use.limit()),
         rated ? format("{:.1f}", use.rate_share()) : "-",
         rated ? format("{} in {:.0f} s", use.rate_limit(), use.rate_period_seconds()) : "-"});
  }
  table.Print(out);
}

}  // namespace

void AddDestination(CLI::App& app, Session& session) {
  CLI::App* const destination =
      app.add_subcommand("destination", "Destinations that the node attempts now");
  destination->require_subcommand(1);
  destination->footer("Examples:\n  holdfast destination list");
  CLI::App* const list = destination->add_subcommand(
      "list", "What the node takes of the limits of destinations, and its shares of them");
  list->footer("Examples:\n  holdfast destination list\n  holdfast destination list --rows 10");
  auto request = std::make_shared<admin::DestinationListRequest>();
  list->add_option_function<uint32_t>(
          "--rows", [request](const uint32_t& rows) { request->set_rows_max(rows); },
          "at most so many, those first that want most; 50 when not given")
      ->check(CLI::Range(1, 1000));
  session.OnRun(list, [&session, request] {
    admin::DestinationListResponse response;
    if (!session.Call(&admin::Admin::Stub::DestinationList, *request, &response)) return;
    if (session.json()) {
      session.PrintJson(response);
    } else {
      PrintDestinations(response, session.out());
    }
  });
}

}  // namespace holdfast::cli
