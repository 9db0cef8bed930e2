// ops/bench/sink.h
// Sink is a receiving server for load and chaos tests: it takes mail, records who got what, and
// misbehaves as it was told (SinkRules, delay, stall). It speaks SMTP with the relay's own session.
//
// Promises: what the record says is in the kernel's hands before the 250 leaves.
// Threads:  the one that runs the executor's io context.
// Lifetime: clock and record outlive it; it outlives its io context's run, which ends by itself
//           after Stop() when the last session has ended.
// Errors:   a record that can't be written stops it; record_failure() says why.
// Limits:   options.connections_max sessions, of which each holds one piece of a message (1 MiB),
// or
//           of a notice up to 2 MiB. More connections wait in the kernel.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "base/clock.h"
#include "ops/bench/options.h"
#include "ops/bench/record_file.h"
#include "ops/bench/sink_rules.h"
#include "smtp/server/message_sink.h"
#include "smtp/server/relay_policy.h"
#include "smtp/server/session.h"
#include "smtp/server/session_observer.h"
#include "smtp/stream/asio.h"
#include "smtp/stream/ip_address.h"

namespace holdfast::bench {

namespace asio = smtp::asio;

struct SinkCounts {
  uint64_t messages = 0;  // Accepted, notices included.
  uint64_t copies = 0;    // Recipients of messages that are no notices.
  uint64_t notices = 0;   // Recipients that notices report, whatever their action.
  uint64_t rejected = 0;  // Recipients, each time.
  uint64_t deferred = 0;
  uint64_t silent = 0;  // Transactions.
  uint64_t bytes = 0;   // Of accepted content.
  uint64_t connections = 0;

  uint64_t arrived() const { return copies + notices; }
};

class Sink final : public smtp::MessageSink,
                   public smtp::AdmissionPolicy,
                   public smtp::SessionObserver {
 public:
  // `record` may be null. `on_expected` is called once, when options.expected have arrived.
  Sink(asio::any_io_executor executor, const SinkOptions& options, const Clock& clock,
       RecordWriter* record, std::function<void()> on_expected);
  ~Sink() override;

  // Binds and begins to accept; the real endpoint. kUnavailable says why not.
  absl::StatusOr<smtp::Endpoint> Start(const smtp::Endpoint& listen);
  // Transactions may end until `deadline`; then what is left is cut. Idempotent.
  void Stop(absl::Duration deadline);

  const SinkCounts& counts() const { return counts_; }
  const absl::Status& record_failure() const { return record_failure_; }

  // --- what sessions call ---
  absl::StatusOr<std::unique_ptr<smtp::Submission>> Begin(
      std::shared_ptr<const smtp::Envelope> envelope) override;
  smtp::MailDecision OnMail(const smtp::ClientFacts& client,
                            const smtp::MailCommand& command) override;
  smtp::RcptDecision OnRcpt(const smtp::ClientFacts& client, const smtp::MailCommand& mail,
                            const smtp::RcptCommand& command) override;

 private:
  class Arriving;
  struct Entry {
    uint64_t number = 0;
    std::shared_ptr<smtp::Session> session;
  };

  asio::awaitable<void> Accept();
  void OnConnection(boost::asio::ip::tcp::socket socket);
  asio::awaitable<void> Serve(smtp::Endpoint client, std::shared_ptr<smtp::Session> session);
  // The answer to the dot of what has arrived.
  asio::awaitable<absl::Status> Answer(const smtp::Envelope& envelope, uint64_t bytes,
                                       std::vector<Record> records);
  void Write(const std::vector<Record>& records);
  // Waits, but not beyond Stop().
  asio::awaitable<void> Wait(absl::Duration time);
  void AbortAll();

  const asio::any_io_executor executor_;
  const SinkOptions options_;
  const Clock& clock_;
  RecordWriter* const record_;
  std::function<void()> on_expected_;
  const SinkRules rules_;
  const absl::Duration begun_;

  boost::asio::ip::tcp::acceptor acceptor_;
  std::set<boost::asio::steady_timer*> waits_;  // Of Wait(), for Stop() to end.
  boost::asio::steady_timer deadline_;
  boost::asio::steady_timer room_;  // Cancelled when a session ends: another one may be accepted.
  bool stopping_ = false;
  std::map<smtp::Endpoint, Entry> sessions_;  // By the client's address and port.
  uint64_t transactions_ = 0;                 // Begun.
  uint64_t dots_ = 0;                         // That came to their dot.
  SinkCounts counts_;
  absl::Status record_failure_;
};

}  // namespace holdfast::bench
