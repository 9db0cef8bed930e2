// holdfastd: one node of a Holdfast cluster. See `holdfastd --help`.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <string>

#include "node/config/config_reader.h"
#include "node/config/process.h"
#include "node/daemon.h"
#include "node/recover/recover.h"
#include "node/version.h"

namespace {

constexpr char kExamples[] = R"(Examples:
  holdfastd             a one-node cluster in ./holdfast-data, SMTP on 127.0.0.1:2525
  holdfastd --config /etc/holdfast/node.textproto
  holdfastd --config node.textproto --check

Exit codes: 0 stopped, 1 fatal at run time, 2 bad configuration.
SIGTERM and SIGINT stop it gracefully, SIGHUP reloads certificates and the log level.)";

constexpr char kRecoverExamples[] = R"(Examples:
  holdfastd recover --config /etc/holdfast/node.textproto
  holdfastd recover --config /etc/holdfast/node.textproto --beside 'node 3: 0:7/120 1:6/99 ...'
  holdfastd recover --config /etc/holdfast/node.textproto --accept-loss

See docs/runbooks/lost-majority.md first.)";

constexpr int kBadConfiguration = 2;

// A build of tomorrow differs from this one in what it speaks: tests of upgrades make one.
#ifdef HOLDFAST_LEVEL_MAX_OF_TEST
constexpr holdfast::node::LevelRange kLevels{1, HOLDFAST_LEVEL_MAX_OF_TEST};
#else
constexpr holdfast::node::LevelRange kLevels = holdfast::node::kBuildLevels;
#endif

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("holdfastd, a node of a clustered SMTP relay", "holdfastd");
  app.footer(kExamples);
  std::string config_file;
  bool check = false;
  app.add_option("--config", config_file,
                 "node file (protobuf text format); default: all defaults");
  app.add_flag("--check", check, "say what is wrong with the node file, and stop; binds no port");
  app.set_version_flag("--version", holdfast::node::kVersion);
  CLI::App* const recover = app.add_subcommand("recover",
                                               "A majority of the nodes is lost for good: shows "
                                               "what this stopped node has, or makes it alone "
                                               "the cluster");
  recover->fallthrough();
  recover->footer(kRecoverExamples);
  holdfast::node::RecoverOptions recovery;
  recover->add_flag("--accept-loss", recovery.accept_loss,
                    "go on with what this node has; what only others had is lost");
  recover
      ->add_option("--yes-i-accept-loss", recovery.yes_accept_loss,
                   "the cluster's id, instead of being asked for it")
      ->type_name("CLUSTER_ID");
  recover
      ->add_option("--beside", recovery.others,
                   "another survivor's `position` line, to see whose log is longer")
      ->type_name("LINE");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kBadConfiguration;
  }

  holdfast::node::FileText file;
  if (!config_file.empty()) file = holdfast::node::ReadConfigFile(config_file);
  for (const auto& problem : file.problems) {
    std::fprintf(stderr, "%s\n", problem.ToString(config_file).c_str());
  }
  if (!file.problems.empty()) return kBadConfiguration;
  const auto config = holdfast::node::ReadNodeConfig(file.text);
  if (!config.ok()) {
    const std::string name = config_file.empty() ? "(defaults)" : config_file;
    std::fputs(config.ProblemText(name).c_str(), stderr);
    return kBadConfiguration;
  }
  if (check) {
    std::printf("%s: ok\n", config_file.empty() ? "(defaults)" : config_file.c_str());
    return 0;
  }
  if (recover->parsed()) {
    return holdfast::node::RunRecover(config.settings, recovery, {std::cin, std::cout, std::cerr});
  }
  return holdfast::node::RunDaemon(config.settings, config_file, kLevels);
}
