// holdfast-bench: see `holdfast-bench --help` and docs/guides/load-testing.md.
#include <csignal>
#include <iostream>
#include <string>
#include <variant>
#include <vector>

#include "ops/bench/commands.h"
#include "ops/bench/options.h"

int main(int argc, char** argv) {
  using namespace holdfast::bench;
  std::signal(SIGPIPE, SIG_IGN);
  const Parsed parsed =
      ParseArguments(std::vector<std::string>(argv + 1, argv + argc), std::cout, std::cerr);
  if (!parsed.command) return parsed.exit_code;
  const Streams streams{std::cout, std::cerr};
  if (const auto* load = std::get_if<LoadOptions>(&*parsed.command)) return RunLoad(*load, streams);
  if (const auto* sink = std::get_if<SinkOptions>(&*parsed.command)) return RunSink(*sink, streams);
  return RunAccount(std::get<AccountOptions>(*parsed.command), streams);
}
