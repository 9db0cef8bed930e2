// ops/bench/load.h
// Load sends messages over a number of connections to a number of targets, and records what became
// of each recipient. Each connection carries one message at a time; what waits for its turn is
// nothing but a number, so that memory does not grow with the number of messages.
//
// A recipient that was answered 4xx, or whose connection broke before the dot, is offered again
// under another id, as often as options.tries says, on the same connection or on the next target.
// After the dot nothing is offered again: the relay may have it.
//
// Threads:  the one that runs the executor's io context.
// Lifetime: clock and record outlive it, and it outlives Run().
// Errors:   a record that can't be written ends the run; record_failure() says why.
// Limits:   options.connections messages under way.
#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>

#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "ops/bench/content.h"
#include "ops/bench/latency.h"
#include "ops/bench/options.h"
#include "ops/bench/record_file.h"
#include "smtp/client/client.h"
#include "smtp/client/transaction.h"
#include "smtp/stream/asio.h"
#include "smtp/stream/ip_address.h"

namespace holdfast::bench {

namespace asio = smtp::asio;

// So far, or in all. Recipients where no other word stands.
struct LoadCounts {
  uint64_t messages = 0;           // Begun.
  uint64_t messages_accepted = 0;  // At least one recipient of them was.
  uint64_t accepted = 0;
  uint64_t bytes_accepted = 0;  // Of content.
  uint64_t temporary = 0;       // Answers, so one recipient may have several.
  uint64_t permanent = 0;
  uint64_t unknown = 0;
  uint64_t given_up = 0;            // Never accepted, after all tries or without a target.
  uint64_t connections = 0;         // That came about.
  uint64_t connections_failed = 0;  // That did not: refused, 421, no answer.
  uint64_t connections_broken = 0;  // In the middle of a message.
};

class Load {
 public:
  // `targets` has at least one. `record` may be null.
  Load(asio::any_io_executor executor, LoadOptions options, std::vector<smtp::Endpoint> targets,
       const Clock& clock, Random random, RecordWriter* record);
  ~Load();

  // Returns when all connections have ended.
  asio::awaitable<void> Run();
  // No new message begins; those under way come to their end, without another try.
  void Stop();

  const LoadCounts& counts() const { return counts_; }
  // From the beginning of the try that was accepted, a connection included if it needed one, to its
  // 250; and from its dot to its 250.
  const LatencyHistogram& whole_latency() const { return whole_latency_; }
  const LatencyHistogram& dot_latency() const { return dot_latency_; }
  // From the run's beginning to the last 250.
  absl::Duration span() const { return last_accepted_ - begun_; }
  const absl::Status& record_failure() const { return record_failure_; }
  // Writes out what the record holds in memory; ends the run if that fails.
  void FlushRecord();

 private:
  struct Lane;
  struct Try;

  asio::awaitable<void> RunLane(std::shared_ptr<Lane> lane);
  asio::awaitable<std::optional<uint64_t>> NextMessage(Lane& lane);
  asio::awaitable<void> Deliver(Lane& lane, uint64_t number);
  asio::awaitable<bool> Connect(Lane& lane);
  asio::awaitable<void> Offer(Lane& lane, Try& attempt);
  asio::awaitable<void> Pause(Lane& lane, absl::Duration time);
  void TakeResult(Lane& lane, Try& attempt, const smtp::TransactionResult& result,
                  absl::Duration dot_at);
  void Note(const Try& attempt, const std::string& recipient, OfferEnd end,
            const std::string& target, std::string answer);
  smtp::ConnectionOptions ConnectOptions() const;
  uint64_t SizeOf();
  void NextTarget(Lane& lane) const;

  const asio::any_io_executor executor_;
  const LoadOptions options_;
  const std::vector<smtp::Endpoint> targets_;
  const Clock& clock_;
  Random random_;
  RecordWriter* const record_;
  const std::string run_;  // Of all ids of this run.
  const ContentMaker content_;

  absl::Duration begun_;  // On Clock::SinceBoot(), as are the others.
  absl::Duration last_accepted_;
  bool stopping_ = false;
  uint64_t next_ = 0;
  std::vector<std::shared_ptr<Lane>> lanes_;
  size_t lanes_running_ = 0;
  boost::asio::steady_timer all_ended_;
  LoadCounts counts_;
  LatencyHistogram whole_latency_;
  LatencyHistogram dot_latency_;
  absl::Status record_failure_;
};

}  // namespace holdfast::bench
