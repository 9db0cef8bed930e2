#include "smtp/client/transaction.h"

namespace holdfast::smtp {

std::string_view ToString(Phase phase) {
  switch (phase) {
    case Phase::kRoute:
      return "routing";
    case Phase::kConnect:
      return "connecting";
    case Phase::kGreeting:
      return "greeting";
    case Phase::kEhlo:
      return "EHLO";
    case Phase::kStartTls:
      return "STARTTLS";
    case Phase::kMail:
      return "MAIL";
    case Phase::kRcpt:
      return "RCPT";
    case Phase::kData:
      return "DATA";
    case Phase::kContent:
      return "content";
    case Phase::kFinalDot:
      return "final dot";
  }
  return "?";
}

std::string_view ToString(OutcomeClass outcome) {
  switch (outcome) {
    case OutcomeClass::kDelivered:
      return "delivered";
    case OutcomeClass::kTemporary:
      return "temporary";
    case OutcomeClass::kPermanent:
      return "permanent";
    case OutcomeClass::kNotAttempted:
      return "not attempted";
    case OutcomeClass::kInDoubt:
      return "in doubt";
  }
  return "?";
}

std::string Answer::ToString() const {
  std::string text = std::to_string(code);
  // A remote's text has its enhanced code in front already, if it has one.
  if (!from_remote) {
    text += ' ';
    text += enhanced.ToString();
  }
  for (size_t i = 0; i < lines.size(); ++i) {
    if (!lines[i].empty() || i > 0) text += i == 0 ? " " : " / ";
    text += lines[i];
  }
  return text;
}

}  // namespace holdfast::smtp
