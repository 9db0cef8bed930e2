// Paths. What is accepted can be written down again and means the same, holds no control byte, and
// has a routing key that is its own.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "smtp/protocol/address.h"

namespace holdfast::smtp {
namespace {

void CheckPath(std::string_view text, bool utf8) {
  PathRules rules;
  rules.allow_null = true;
  rules.allow_bare_postmaster = true;
  rules.allow_utf8 = utf8;
  const PathResult result = ParsePath(text, rules);
  HOLDFAST_CHECK(result.path.has_value() == (result.error == PathError::kNone));
  if (!result.path) return;
  const Path& path = *result.path;
  HOLDFAST_CHECK(result.consumed <= text.size() && text[result.consumed - 1] == '>');
  HOLDFAST_CHECK(utf8 || !path.needs_smtputf8());
  HOLDFAST_CHECK(IsValidUtf8(path.mailbox()));
  for (char c : path.mailbox()) HOLDFAST_CHECK(c < 0 || (c >= 0x20 && c != 0x7F));
  HOLDFAST_CHECK(IsAscii(path.domain_key) && path.domain_key.size() <= 255);
  HOLDFAST_CHECK(path.domain_key.empty() == path.domain.empty());
  if (!path.domain_key.empty()) HOLDFAST_CHECK(DomainKey(path.domain_key) == path.domain_key);
  const PathResult again = ParsePath("<" + path.mailbox() + ">", rules);
  HOLDFAST_CHECK(again.path && *again.path == path) << path.mailbox();
  (void)IsPostmaster(path.local_part);
  (void)AsciiMailbox(path);
}

}  // namespace
}  // namespace holdfast::smtp

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  holdfast::smtp::CheckPath(text, false);
  holdfast::smtp::CheckPath(text, true);
  (void)holdfast::smtp::ParseMailbox(text, holdfast::smtp::PathRules());
  (void)holdfast::smtp::DomainKey(text);
  return 0;
}
