// Command lines, their assembly, and the parameters of MAIL and RCPT. However the bytes were cut,
// the lines are the same; what was read as a parameter is fit to be passed on.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "smtp/protocol/command_parser.h"
#include "smtp/protocol/esmtp_params.h"

namespace holdfast::smtp {
namespace {

void CheckParameters(std::string_view text) {
  MailParameters mail;
  if (ParseMailParameters(text, mail).error == ParameterError::kNone && mail.envid) {
    HOLDFAST_CHECK(mail.envid->size() <= 100 && DecodeXtext(*mail.envid)) << *mail.envid;
  }
  RcptParameters rcpt;
  for (bool smtputf8 : {false, true}) {
    if (ParseRcptParameters(text, smtputf8, rcpt).error != ParameterError::kNone) continue;
    if (rcpt.notify) HOLDFAST_CHECK(!rcpt.notify->ToString().empty());
    if (!rcpt.orcpt) continue;
    const auto original = ParseOriginalRecipient(*rcpt.orcpt, smtputf8);
    HOLDFAST_CHECK(original.has_value());
    for (char c : original->address) HOLDFAST_CHECK(c < 0 || (c >= 0x20 && c != 0x7F));
  }
}

void CheckLine(std::string_view line) {
  const CommandLine command = ParseCommandLine(line);
  (void)ParseBdatArgument(command.arguments);
  for (std::string_view keyword : {"FROM:", "TO:"}) {
    const auto path = PathArgument(command.arguments, keyword);
    if (path) CheckParameters(path->substr(std::min(path->find('>') + 1, path->size())));
  }
  CheckParameters(line);
  const auto decoded = DecodeXtext(line);
  if (decoded) HOLDFAST_CHECK(DecodeXtext(EncodeXtext(*decoded)) == decoded);
}

std::string Lines(std::string_view bytes, size_t piece) {
  LineAssembler lines(64);
  std::string seen;
  while (!bytes.empty()) {
    bytes.remove_prefix(lines.Feed(bytes.substr(0, piece)));
    if (lines.state() == LineAssembler::State::kMore) continue;
    seen += std::to_string(static_cast<int>(lines.state())) + std::string(lines.line()) + '\n';
    if (lines.state() == LineAssembler::State::kLine) CheckLine(lines.line());
    lines.Next();
  }
  return seen;
}

}  // namespace
}  // namespace holdfast::smtp

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  holdfast::smtp::CheckLine(bytes);
  const std::string whole = holdfast::smtp::Lines(bytes, size);
  HOLDFAST_CHECK(holdfast::smtp::Lines(bytes, 1) == whole);
  HOLDFAST_CHECK(holdfast::smtp::Lines(bytes, 7) == whole);
  return 0;
}
