// `holdfast cluster recover`: works on the stopped node's store, which only holdfastd can read; so
// this hands over to `holdfastd recover`.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "base/text.h"
#include "ops/cli/session.h"

namespace holdfast::cli {
namespace {

struct RecoverArguments {
  std::string daemon = "holdfastd";
  std::string config;
  bool accept_loss = false;
  std::string yes_accept_loss;
  std::vector<std::string> beside;
};

std::vector<std::string> DaemonArguments(const RecoverArguments& given) {
  std::vector<std::string> words = {given.daemon, "recover"};
  if (!given.config.empty()) words.insert(words.end(), {"--config", given.config});
  if (given.accept_loss) words.push_back("--accept-loss");
  if (!given.yes_accept_loss.empty()) {
    words.insert(words.end(), {"--yes-i-accept-loss", given.yes_accept_loss});
  }
  for (const std::string& line : given.beside) words.insert(words.end(), {"--beside", line});
  return words;
}

// Returns only when it can't.
void Become(const std::vector<std::string>& words, Session& session) {
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  session.out().flush();
  execvp(arguments[0], arguments.data());
  session.Fail(format("{}: {}; give its path with --daemon", words[0], std::strerror(errno)));
}

}  // namespace

void AddRecover(CLI::App& cluster, Session& session) {
  CLI::App* const recover = cluster.add_subcommand(
      "recover", "A majority is lost for good: look at this stopped node, or go on with it alone");
  auto given = std::make_shared<RecoverArguments>();
  recover->add_option("--config", given->config, "node file of this node, which must be stopped");
  recover->add_flag("--accept-loss", given->accept_loss,
                    "go on with what this node has; what only others had is lost");
  recover
      ->add_option("--yes-i-accept-loss", given->yes_accept_loss,
                   "the cluster's id, instead of being asked for it")
      ->type_name("CLUSTER_ID");
  recover
      ->add_option("--beside", given->beside,
                   "another survivor's `position` line, to see whose log is longer")
      ->type_name("LINE");
  recover->add_option("--daemon", given->daemon, "the program holdfastd, which reads the store")
      ->capture_default_str();
  recover->footer(
      "Without --accept-loss nothing is changed. Read docs/runbooks/lost-majority.md first.\n"
      "Examples:\n"
      "  holdfast cluster recover --config /etc/holdfast/node.textproto\n"
      "  holdfast cluster recover --config /etc/holdfast/node.textproto --beside 'node 3: "
      "0:7/120'\n"
      "  holdfast cluster recover --config /etc/holdfast/node.textproto --accept-loss");
  session.OnRun(recover, [&session, given] { Become(DaemonArguments(*given), session); });
}

}  // namespace holdfast::cli
