// The policy. What is accepted answers every question without trusting everybody, and its canonical
// text means the same.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "node/config/config_reader.h"
#include "node/control/policy.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace holdfast::node;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto result = ReadPolicy(text);
  if (!result.ok()) return 0;
  const std::string canonical = CanonicalPolicyText(text);
  const auto again = ReadPolicy(canonical);
  HOLDFAST_CHECK(again.ok()) << again.ProblemText("canonical");
  HOLDFAST_CHECK(CanonicalPolicyText(canonical) == canonical);
  HOLDFAST_CHECK(again.settings.routes.size() == result.settings.routes.size());
  HOLDFAST_CHECK(again.settings.relay_domains.size() == result.settings.relay_domains.size());
  const PolicySnapshot policy(1, result.settings);
  for (const auto& [pattern, route] : result.settings.routes) {
    HOLDFAST_CHECK(pattern == route.pattern && route.port != 0);
    const std::string asked = pattern[0] == '.' ? "x" + pattern : pattern;
    HOLDFAST_CHECK(!policy.RouteFor(asked).pattern.empty());
  }
  for (const auto& [pattern, destination] : result.settings.destinations) {
    HOLDFAST_CHECK(pattern == destination.pattern && !destination.retry.waits.empty());
  }
  const bool everybody = policy.IsTrusted("8.8.8.8") && policy.IsTrusted("203.0.113.7") &&
                         policy.settings().trusted_networks.size() == 1 &&
                         policy.settings().trusted_networks[0].CoversAllIpv4();
  HOLDFAST_CHECK(!everybody);
  (void)policy.Suppressed("a@b.example");
  (void)PolicyDiff("", "a", text, "b");
  return 0;
}
