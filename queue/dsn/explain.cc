#include "queue/dsn/explain.h"

#include <array>
#include <optional>

#include "base/text.h"

namespace holdfast::queue {
namespace {

struct Explanation {
  std::string_view detail;  // Subject and detail of the code, without the class.
  std::string_view permanent;
  std::string_view temporary;
};

// {} is the recipient's domain.
constexpr std::array kExplanations = std::to_array<Explanation>({
    {"1.1", "There is no mailbox with this name at {}.",
     "{} could not tell whether there is a mailbox with this name."},
    {"1.2", "There is no mail domain called {}.", "The domain {} could not be looked up."},
    {"1.3", "{} says that the address is not written correctly.",
     "{} says that the address is not written correctly."},
    {"1.6", "The mailbox has moved away from {}.", "The mailbox is moving away from {}."},
    {"1.7", "{} says that the sender's address is not written correctly.",
     "{} says that the sender's address is not written correctly."},
    {"1.8", "{} does not accept mail from the sender's domain.",
     "{} could not check the sender's domain."},
    {"1.10", "The domain {} says that it receives no mail.",
     "The domain {} says that it receives no mail."},
    {"2.0", "The mailbox cannot receive mail.", "The mailbox cannot receive mail at the moment."},
    {"2.1", "The mailbox at {} is switched off.", "The mailbox at {} is switched off for now."},
    {"2.2", "The recipient's mailbox is full.", "The recipient's mailbox is full."},
    {"2.3", "The message is larger than the recipient's mailbox accepts.",
     "The message is larger than the recipient's mailbox accepts."},
    {"3.0", "The mail system of {} has a problem.", "The mail system of {} has a problem."},
    {"3.1", "The mail system of {} is out of disk space.",
     "The mail system of {} is out of disk space."},
    {"3.2", "The mail system of {} accepts no mail.",
     "The mail system of {} accepts no mail at the moment."},
    {"3.4", "The message is larger than {} accepts.", "The message is larger than {} accepts."},
    {"4.1", "No mail server of {} answered.", "No mail server of {} answers."},
    {"4.2", "The connection to the mail server of {} broke.",
     "The connection to the mail server of {} broke."},
    {"4.3", "The name server of {} failed.", "The name server of {} fails."},
    {"4.4", "No mail server was found for {}.", "No mail server could be found for {}."},
    {"4.5", "The mail server of {} is too busy.", "The mail server of {} is too busy."},
    {"4.6", "The message went round in circles and was stopped.",
     "The message goes round in circles."},
    {"4.7", "The message could not be delivered to {} in time.",
     "The message could not yet be delivered to {}."},
    {"5.0", "The mail server of {} did not understand the message's delivery.",
     "The mail server of {} did not understand the message's delivery."},
    {"5.3", "The message has too many recipients for {}.",
     "The message has too many recipients for {} at once."},
    {"6.3", "The message has content that the mail server of {} cannot receive.",
     "The message has content that the mail server of {} cannot receive."},
    {"6.7", "The mail server of {} cannot receive international addresses.",
     "The mail server of {} cannot receive international addresses."},
    {"7.0", "{} refused the message for reasons of policy.",
     "{} refuses the message for the time being, for reasons of policy."},
    {"7.1", "{} refused the message: the sender may not write to this address.",
     "{} refuses the message for the time being, for reasons of policy."},
    {"7.2", "The mailing list at {} does not accept mail from the sender.",
     "The mailing list at {} does not accept mail from the sender."},
    {"7.23", "{} refused the message because of the sender domain's SPF record.",
     "{} could not check the sender domain's SPF record."},
    {"7.25", "{} refused the message because our address has no proper name.",
     "{} could not look up the name of our address."},
    {"7.26", "{} refused the message because it could not be authenticated.",
     "{} could not check whether the message is authentic."},
    {"7.30", "The message requires TLS, which the mail server of {} does not offer.",
     "The message requires TLS, which the mail server of {} does not offer."},
});

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Class and the rest of "5.1.1"; nullopt when it is not a status code (RFC 3463 2).
struct Status {
  char status_class = '5';
  std::string_view detail;
};
std::optional<Status> ParseStatus(std::string_view text) {
  if (text.size() < 5 || text.size() > 9 || text[1] != '.') return std::nullopt;
  if (text[0] != '2' && text[0] != '4' && text[0] != '5') return std::nullopt;
  const std::string_view detail = text.substr(2);
  const size_t dot = detail.find('.');
  if (dot == std::string_view::npos || dot == 0 || dot > 3) return std::nullopt;
  if (dot + 1 == detail.size() || detail.size() - dot - 1 > 3) return std::nullopt;
  for (size_t i = 0; i < detail.size(); ++i) {
    if (i != dot && !IsDigit(detail[i])) return std::nullopt;
  }
  return Status{text[0], detail};
}

}  // namespace

std::string CleanEnhanced(std::string_view enhanced, uint32_t code, bool failed) {
  if (ParseStatus(enhanced)) return std::string(enhanced);
  if (code >= 200 && code < 300) return "2.0.0";
  if (code >= 400 && code < 500) return "4.0.0";
  if (code >= 500 && code < 600) return "5.0.0";
  return failed ? "5.0.0" : "4.0.0";
}

std::string ExplainStatus(std::string_view enhanced, uint32_t code, std::string_view domain) {
  const std::string clean = CleanEnhanced(enhanced, code, true);
  const std::optional<Status> status = ParseStatus(clean);
  const bool permanent = status && status->status_class == '5';
  for (const Explanation& explanation : kExplanations) {
    if (!status || explanation.detail != status->detail) continue;
    return fmt::format(fmt::runtime(permanent ? explanation.permanent : explanation.temporary),
                       domain);
  }
  return permanent ? format("{} refused the message.", domain)
                   : format("{} could not take the message.", domain);
}

}  // namespace holdfast::queue
