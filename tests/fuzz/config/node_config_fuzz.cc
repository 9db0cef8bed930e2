// The node file. Whatever it says, every problem has a place within it and a text for one line, and
// what is accepted keeps the promises of settings.h.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "node/config/config_reader.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace holdfast::node;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto result = ReadNodeConfig(text, NodeReadOptions{.check_files = false});
  const auto lines = std::count(text.begin(), text.end(), '\n') + 1;
  for (const ConfigProblem& problem : result.problems) {
    HOLDFAST_CHECK(problem.line >= 0 && problem.line <= lines);
    HOLDFAST_CHECK((problem.line == 0) == (problem.column == 0));
    HOLDFAST_CHECK(!problem.text.empty());
  }
  if (!result.ok()) return 0;
  const NodeSettings& node = result.settings;
  HOLDFAST_CHECK(!node.hostname.empty() && !node.listeners.empty() && !node.data_dir.empty());
  HOLDFAST_CHECK(node.node_id.value() != 0);
  for (const ListenerSettings& listener : node.listeners) {
    HOLDFAST_CHECK(ParseIpAddress(listener.address.ip).has_value());
    HOLDFAST_CHECK(listener.mx || listener.submission || listener.trusted);
    HOLDFAST_CHECK(listener.tls == ListenerTls::kNone || node.tls.has_value());
  }
  HOLDFAST_CHECK(node.timing.heartbeat * 2 <= node.timing.election_min);
  HOLDFAST_CHECK(node.timing.election_min < node.timing.election_max);
  HOLDFAST_CHECK(!node.cluster || !node.cluster->peers.empty());
  return 0;
}
