#include "ops/cli/cli.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "base/text.h"
#include "base/utf8.h"
#include "ops/cli/session.h"
#include "ops/cli/table_print.h"

namespace holdfast::cli {
namespace {

void AddGlobalOptions(CLI::App& app, GlobalOptions& options) {
  app.add_option("--socket", options.socket, "the node's admin socket")
      ->envname("HOLDFAST_SOCKET")
      ->capture_default_str();
  CLI::Option* const address =
      app.add_option("--address", options.address, "the node's admin address over TCP, HOST:PORT");
  for (auto& [name, file, text] :
       {std::tuple<const char*, std::string&, const char*>{
            "--authority", options.authority_file, "PEM of who signed the node's certificate"},
        {"--certificate", options.certificate_file, "PEM of our certificate"},
        {"--key", options.key_file, "PEM of its key"}}) {
    CLI::Option* const option = app.add_option(name, file, text)->needs(address);
    address->needs(option);
  }
  app.add_option("--output", options.output, "for people or for programs")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  app.add_option("--timeout", options.timeout_seconds, "for the whole command, in seconds")
      ->check(CLI::Range(0.001, 3600.0))
      ->capture_default_str();
}

// CLI11 only says that a subcommand is missing, also when one is misspelt. Empty: none is missing.
std::string MissingVerb(const CLI::App& app) {
  const CLI::App* command = &app;
  std::string path = "holdfast";
  while (!command->get_subcommands().empty()) {
    command = command->get_subcommands().front();
    path += ' ' + command->get_name();
  }
  std::string verbs;
  for (const CLI::App* verb : command->get_subcommands([](const CLI::App*) { return true; })) {
    verbs += (verbs.empty() ? "" : ", ") + verb->get_name();
  }
  if (verbs.empty()) return "";
  const std::vector<std::string> unknown = app.remaining(true);
  const std::string problem =
      unknown.empty() ? " wants a command" : " has no command `" + Shown(unknown.front(), 40) + "`";
  return path + problem + "; there are " + verbs;
}

}  // namespace

int RunCli(const std::vector<std::string>& arguments, const Streams& streams) {
  Session session(streams);
  CLI::App app("holdfast: looks into a Holdfast node and tells it what to do", "holdfast");
  // So that the options above are understood behind a verb too.
  app.fallthrough();
  app.require_subcommand(1);
  app.footer(
      "Examples:\n"
      "  holdfast status\n"
      "  holdfast cluster status\n"
      "  holdfast queue summary\n"
      "  holdfast destination list\n"
      "  holdfast queue list --destination example.com --output json\n"
      "  holdfast policy apply policy.textproto --comment \"new smarthost\"\n"
      "  holdfast cert ca --out ca\n"
      "Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 the node cannot be reached.");
  AddGlobalOptions(app, session.options());
  AddStatus(app, session);
  AddCluster(app, session);
  AddNode(app, session);
  AddQueue(app, session);
  AddDestination(app, session);
  AddPolicy(app, session);
  AddCert(app, session);
  for (const std::string& argument : arguments) {
    if (IsUtf8(argument)) continue;
    streams.err << format("`{}` is not text in UTF-8\n", Shown(MendUtf8(argument), 40));
    return kUsage;
  }
  try {
    // CLI11 takes them from the end.
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
    app.parse(std::move(reversed));
    return session.Run();  // May find more that is wrong with the arguments.
  } catch (const CLI::RequiredError& error) {
    if (const std::string problem = MissingVerb(app); !problem.empty()) {
      streams.err << problem << "\nRun with --help for more information.\n";
      return kUsage;
    }
    return app.exit(error, streams.out, streams.err) == 0 ? kDone : kUsage;
  } catch (const CLI::ParseError& error) {
    return app.exit(error, streams.out, streams.err) == 0 ? kDone : kUsage;
  }
}

}  // namespace holdfast::cli
