// A remote that answers anything at all. The first byte chooses the options, the rest is what the
// remote says; after each reply the core's wishes are granted, some by failing them.
#include <absl/status/status.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "smtp/client/client_core.h"
#include "smtp/client/transaction.h"
#include "smtp/protocol/reply.h"

namespace holdfast::smtp {
namespace {

constexpr size_t kTransactionsMax = 20;

class Conversation {
 public:
  explicit Conversation(uint8_t choice) : core_(MakeOptions(choice)) { Take(core_.Begin()); }

  void Hear(std::string_view bytes) {
    while (!bytes.empty() && !over_) {
      bytes.remove_prefix(parser_.Feed(bytes));
      if (parser_.state() == ReplyParser::State::kGarbage) {
        Take(core_.OnLost(parser_.garbage_reason()));
      } else if (parser_.state() == ReplyParser::State::kReply) {
        Take(core_.OnReply(parser_.Take()));
      }
    }
    if (!over_) Take(core_.OnLost("the end"));
    HOLDFAST_CHECK(over_);
  }

 private:
  using Next = ClientStep::Next;

  static ClientCoreOptions MakeOptions(uint8_t choice) {
    ClientCoreOptions options;
    options.ehlo_name = "client.example";
    options.tls = static_cast<TlsPolicy>(choice & 3);
    options.helo_only = (choice & 4) != 0;
    options.messages_max = 5;
    options.recipients_max = 4;
    options.pipelined_commands_max = (choice & 8) != 0 ? 3 : 60;
    if ((choice & 16) != 0) options.credentials = ClientCredentials{"user", "password"};
    return options;
  }

  static Transaction MakeTransaction(size_t number) {
    Transaction transaction;
    transaction.reverse_path = number % 2 == 0 ? "a@a.example" : "";
    transaction.content_bytes = 1000 * number;
    transaction.needs_8bit = number % 3 == 1;
    transaction.smtputf8 = number % 4 == 3;
    for (size_t i = 0; i <= number % 6; ++i) {
      transaction.recipients.push_back({i == 2 ? "j\xc3\xb6rg@b.example" : "r@b.example", {}, {}});
    }
    return transaction;
  }

  void Take(ClientStep step) {
    CheckSent(step);
    while (true) {
      switch (step.next) {
        case Next::kReply:
          return;
        case Next::kHandshake:
          step = core_.OnTls();
          break;
        case Next::kReady:
          step = Begin();
          break;
        case Next::kContent:
          step = transactions_ % 5 == 4 ? core_.OnNotSent(absl::AbortedError("fence"))
                                        : core_.OnContentSent();
          break;
        case Next::kDone:
          if (!Check(core_.TakeResult())) return;
          step = Begin();
          break;
        case Next::kFailed:
        case Next::kClosed:
          over_ = true;
          return;
      }
      CheckSent(step);
    }
  }

  ClientStep Begin() {
    if (++transactions_ > kTransactionsMax) return core_.Quit();
    recipients_ = MakeTransaction(transactions_).recipients.size();
    return core_.Start(MakeTransaction(transactions_));
  }

  // Whole lines and nothing that is longer than the remote made it.
  static void CheckSent(const ClientStep& step) {
    if (step.send.empty()) return;
    HOLDFAST_CHECK(step.send.size() < 4096 && step.send.ends_with("\r\n"));
  }

  // Whether the connection can go on.
  bool Check(const TransactionResult& result) {
    HOLDFAST_CHECK(result.recipients.size() == recipients_);
    for (const RecipientOutcome& recipient : result.recipients) {
      const bool past_dot = recipient.outcome == OutcomeClass::kDelivered ||
                            recipient.outcome == OutcomeClass::kInDoubt;
      HOLDFAST_CHECK(!past_dot || result.dot_sent);
      HOLDFAST_CHECK(!recipient.retry_now || recipient.outcome == OutcomeClass::kNotAttempted);
      const int code = recipient.answer.code / 100;
      if (recipient.outcome == OutcomeClass::kDelivered) HOLDFAST_CHECK(code == 2);
      if (recipient.outcome == OutcomeClass::kPermanent) HOLDFAST_CHECK(code >= 5);
    }
    if (!result.reusable) over_ = true;
    return result.reusable;
  }

  ClientCore core_;
  ReplyParser parser_;
  size_t transactions_ = 0;
  size_t recipients_ = 0;
  bool over_ = false;
};

}  // namespace
}  // namespace holdfast::smtp

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (size == 0) return 0;
  holdfast::smtp::Conversation conversation(bytes[0]);
  conversation.Hear({reinterpret_cast<const char*>(bytes) + 1, size - 1});
  return 0;
}
