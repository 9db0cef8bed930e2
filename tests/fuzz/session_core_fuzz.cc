// A whole conversation from arbitrary bytes. However cut, the server says the same and queues the
// same; every reply is well formed; the session never wants what it can't.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "smtp/server/relay_rules.h"
#include "smtp/server/session_core.h"

namespace holdfast::smtp {
namespace {

class Rules final : public AdmissionPolicy {
 public:
  explicit Rules(RelayRules rules) : rules_(std::move(rules)) {}
  MailDecision OnMail(const ClientFacts& client, const MailCommand& command) override {
    return rules_.OnMail(client, command);
  }
  RcptDecision OnRcpt(const ClientFacts& client, const MailCommand&,
                      const RcptCommand& command) override {
    return rules_.OnRcpt(client, command);
  }

 private:
  const RelayRules rules_;
};

Rules& BackupMx() {
  static Rules* rules = [] {
    RelayRulesOptions options;
    options.trusted_networks = {"127.0.0.0/8"};
    options.relay_domains = {{"backup.test", std::nullopt}};
    options.postmaster_address = "admin@backup.test";
    return new Rules(*RelayRules::Create(options));
  }();
  return *rules;
}

SessionOptions SmallOptions() {
  SessionOptions options;
  options.hostname = "relay.test";
  options.limits.message_bytes_max = 2000;
  options.limits.recipients_max = 3;
  options.limits.command_line_bytes_max = 300;
  options.limits.text_line_bytes_max = 500;
  options.limits.header_bytes_max = 700;
  options.limits.received_fields_max = 3;
  options.limits.gather_bytes_max = 300;
  options.limits.chunk_bytes = 100;
  options.limits.output_bytes_max = 200;
  return options;
}

void CheckReplies(std::string_view output) {
  while (!output.empty()) {
    const size_t end = output.find("\r\n");
    HOLDFAST_CHECK(end != std::string_view::npos && end >= 4 && end <= 510) << output;
    const std::string_view line = output.substr(0, end);
    HOLDFAST_CHECK(line[0] >= '2' && line[0] <= '5' && (line[3] == ' ' || line[3] == '-'));
    for (char c : line) HOLDFAST_CHECK(c < 0 || (c >= 0x20 && c != 0x7F)) << line;
    output.remove_prefix(end + 2);
  }
}

class Talk {
 public:
  explicit Talk(ClientFacts client)
      : core_(SmallOptions(), std::move(client), BackupMx(), observer_, /*tls_available=*/true) {
    core_.Greet();
  }

  // False once the server has closed.
  bool Send(std::string_view bytes) {
    using Wants = SessionCore::Wants;
    for (;;) {
      size_t used = 0;
      const Wants wants = core_.Advance(bytes, &used);
      HOLDFAST_CHECK(used <= bytes.size());
      bytes.remove_prefix(used);
      HOLDFAST_CHECK(wants != Wants::kInput || bytes.empty());
      said_ += core_.TakeOutput();
      switch (wants) {
        case Wants::kInput:
          return true;
        case Wants::kFlush:
          break;
        case Wants::kBegin: {
          HOLDFAST_CHECK(!open_);
          const auto envelope = core_.TakeEnvelope(absl::UnixEpoch());
          HOLDFAST_CHECK(!envelope->recipients.empty() && envelope->recipients.size() <= 3);
          for (const EnvelopeRecipient& to : envelope->recipients) {
            HOLDFAST_CHECK(envelope->trusted || to.destination == "backup.test") << to.mailbox;
          }
          open_ = true;
          content_.clear();
          core_.OnBegun(std::string("0TEST00000000001"));
          break;
        }
        case Wants::kWrite: {
          HOLDFAST_CHECK(open_);
          const auto chunk = core_.TakeChunk();
          HOLDFAST_CHECK(chunk->size() <= 1100);  // A gathered piece, and the field of ours.
          content_ += *chunk;
          core_.OnWritten(absl::OkStatus());
          break;
        }
        case Wants::kCommit:
          HOLDFAST_CHECK(open_ && core_.final_facts().bytes == content_.size());
          open_ = false;
          queued_ += content_ + '\0';
          core_.OnCommitted(std::string("0TEST00000000001"));
          break;
        case Wants::kAbandon:
          HOLDFAST_CHECK(open_);
          open_ = false;
          break;
        case Wants::kStartTls:
          core_.OnTls({true, "TLSv1.3", "TLS_AES_256_GCM_SHA384"});
          break;  // What follows plays the part of bytes inside TLS.
        case Wants::kClose:
          return false;
      }
    }
  }
  void Stop() { core_.Stop(); }
  const std::string& said() const { return said_; }
  const std::string& queued() const { return queued_; }

 private:
  SessionObserver observer_;
  SessionCore core_;
  std::string said_, queued_, content_;
  bool open_ = false;
};

Talk Converse(std::string_view bytes, size_t piece, const char* address) {
  ClientFacts client;
  client.address = *IpAddress::Parse(address);
  client.roles.mx = true;
  Talk talk(std::move(client));
  bool open = true;
  for (size_t at = 0; open && at < bytes.size(); at += piece) {
    open = talk.Send(bytes.substr(at, piece));
  }
  if (open) {
    talk.Stop();
    (void)talk.Send("");  // Whether it ends now depends on the transaction.
  }
  return talk;
}

}  // namespace
}  // namespace holdfast::smtp

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  for (const char* address : {"203.0.113.9", "127.0.0.1"}) {
    const auto whole = holdfast::smtp::Converse(bytes, size + 1, address);
    const auto one = holdfast::smtp::Converse(bytes, 1, address);
    holdfast::smtp::CheckReplies(whole.said());
    HOLDFAST_CHECK(whole.said() == one.said()) << whole.said() << "\n---\n" << one.said();
    HOLDFAST_CHECK(whole.queued() == one.queued());
  }
  return 0;
}
