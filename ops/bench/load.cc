#include "ops/bench/load.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <utility>

#include "base/check.h"
#include "base/text.h"
#include "smtp/client/client_core.h"
#include "smtp/dns/next_hop.h"

namespace holdfast::bench {
namespace {

constexpr absl::Duration kRetryPause = absl::Milliseconds(100);  // Times the number of the try.
constexpr absl::Duration kRetryPauseMax = absl::Seconds(1);
constexpr absl::Duration kConnectPause = absl::Milliseconds(50);  // When all targets refused.
constexpr absl::Duration kConnectPauseMax = absl::Seconds(1);

auto NoThrow() { return asio::as_tuple(asio::use_awaitable); }

class ContentBody final : public smtp::BodySource {
 public:
  explicit ContentBody(const Content& content) : content_(content) {}

  asio::awaitable<absl::StatusOr<std::shared_ptr<const std::string>>> Next() override {
    if (next_ == content_.pieces.size()) co_return std::shared_ptr<const std::string>();
    co_return content_.pieces[next_++];
  }

 private:
  const Content& content_;
  size_t next_ = 0;
};

// Allows every dot, and knows when it went.
class DotTimer final : public smtp::Fence {
 public:
  explicit DotTimer(const Clock& clock) : clock_(clock) {}

  asio::awaitable<absl::Status> BeforeFinalDot() override {
    at_ = clock_.SinceBoot();
    co_return absl::OkStatus();
  }
  absl::Duration at() const { return at_; }

 private:
  const Clock& clock_;
  absl::Duration at_;
};

OfferEnd EndOf(smtp::OutcomeClass outcome) {
  switch (outcome) {
    case smtp::OutcomeClass::kDelivered:
      return OfferEnd::kAccepted;
    case smtp::OutcomeClass::kPermanent:
      return OfferEnd::kPermanent;
    case smtp::OutcomeClass::kInDoubt:
      return OfferEnd::kUnknown;
    case smtp::OutcomeClass::kTemporary:
    case smtp::OutcomeClass::kNotAttempted:
      return OfferEnd::kTemporary;
  }
  return OfferEnd::kTemporary;
}

}  // namespace

// One connection after the other.
struct Load::Lane {
  Lane(asio::any_io_executor executor, size_t first) : timer(std::move(executor)), target(first) {}

  boost::asio::steady_timer timer;
  size_t target;
  std::unique_ptr<smtp::Connection> connection;
};

// One try of a message, with the recipients that are still open.
struct Load::Try {
  std::string id;
  uint64_t number = 0;
  int attempt = 1;
  absl::Time at;
  absl::Duration begun;
  std::vector<std::string> recipients;
  std::vector<std::string> open;  // What is left afterwards.
  uint64_t bytes = 0;
  std::string digest;
};

Load::Load(asio::any_io_executor executor, LoadOptions options, std::vector<smtp::Endpoint> targets,
           const Clock& clock, Random random, RecordWriter* record)
    : executor_(std::move(executor)),
      options_(std::move(options)),
      targets_(std::move(targets)),
      clock_(clock),
      random_(random),
      record_(record),
      run_(format("{:010x}", random_.Next() >> 24)),
      content_(Random(random_.Next())),
      all_ended_(executor_) {
  HOLDFAST_CHECK(!targets_.empty() && options_.connections > 0);
}

Load::~Load() = default;

asio::awaitable<void> Load::Run() {
  begun_ = last_accepted_ = clock_.SinceBoot();
  all_ended_.expires_at(boost::asio::steady_timer::time_point::max());
  for (size_t i = 0; i < options_.connections; ++i) {
    lanes_.push_back(std::make_shared<Lane>(executor_, i % targets_.size()));
  }
  lanes_running_ = lanes_.size();
  for (const auto& lane : lanes_) {
    asio::co_spawn(executor_, RunLane(lane), [this](std::exception_ptr failed) {
      if (--lanes_running_ == 0) all_ended_.cancel();
      if (failed != nullptr) std::rethrow_exception(failed);
    });
  }
  if (lanes_running_ > 0) {
    auto [ended] = co_await all_ended_.async_wait(NoThrow());
    (void)ended;  // It never expires; it is cancelled.
  }
  FlushRecord();
}

void Load::Stop() {
  stopping_ = true;
  for (const auto& lane : lanes_) lane->timer.cancel();
}

void Load::FlushRecord() {
  if (record_ == nullptr || !record_failure_.ok()) return;
  record_failure_ = record_->Flush();
  // What isn't recorded can't be accounted for.
  if (!record_failure_.ok()) Stop();
}

asio::awaitable<void> Load::RunLane(std::shared_ptr<Lane> lane) {
  while (true) {
    const std::optional<uint64_t> number = co_await NextMessage(*lane);
    if (!number) break;
    co_await Deliver(*lane, *number);
  }
  if (lane->connection != nullptr) co_await lane->connection->Quit();
  lane->connection.reset();
}

asio::awaitable<void> Load::Pause(Lane& lane, absl::Duration time) {
  if (stopping_ || time <= absl::ZeroDuration()) co_return;
  lane.timer.expires_after(absl::ToChronoNanoseconds(time));
  auto [error] = co_await lane.timer.async_wait(NoThrow());
  (void)error;  // Stop() cancels it, and whoever waited looks.
}

// The number is taken before its time has come, so that lanes wait for different ones.
asio::awaitable<std::optional<uint64_t>> Load::NextMessage(Lane& lane) {
  if (stopping_ || (options_.messages && next_ >= *options_.messages)) co_return std::nullopt;
  const uint64_t number = next_++;
  if (options_.rate > 0) {
    const absl::Duration due = begun_ + absl::Seconds(static_cast<double>(number) / options_.rate);
    if (options_.duration && due - begun_ >= *options_.duration) co_return std::nullopt;
    co_await Pause(lane, due - clock_.SinceBoot());
  }
  if (stopping_) co_return std::nullopt;
  if (options_.duration && clock_.SinceBoot() - begun_ >= *options_.duration) {
    co_return std::nullopt;
  }
  co_return number;
}

uint64_t Load::SizeOf() {
  return random_.Between(options_.size.min_bytes, options_.size.max_bytes);
}

void Load::NextTarget(Lane& lane) const { lane.target = (lane.target + 1) % targets_.size(); }

asio::awaitable<void> Load::Deliver(Lane& lane, uint64_t number) {
  ++counts_.messages;
  const std::string& domain = options_.domains[number % options_.domains.size()];
  std::vector<std::string> open;
  for (size_t i = 0; i < options_.recipients; ++i) {
    open.push_back(format("u{}.{}@{}", number, i, domain));
  }
  bool any_accepted = false;
  for (int number_of_try = 1; !open.empty(); ++number_of_try) {
    Try attempt;
    attempt.id = format("{}-{}.{}", run_, number, number_of_try);
    attempt.number = number;
    attempt.attempt = number_of_try;
    attempt.at = clock_.Now();
    attempt.begun = clock_.SinceBoot();
    attempt.recipients = std::exchange(open, {});
    if (!co_await Connect(lane)) {
      for (const std::string& recipient : attempt.recipients) {
        Note(attempt, recipient, OfferEnd::kNotOffered, "", "no target takes a connection");
      }
      counts_.given_up += attempt.recipients.size();
      break;
    }
    const uint64_t accepted_before = counts_.accepted;
    co_await Offer(lane, attempt);
    any_accepted = any_accepted || counts_.accepted > accepted_before;
    open = std::move(attempt.open);
    if (open.empty()) break;
    if (number_of_try >= options_.tries || stopping_) {
      counts_.given_up += open.size();
      break;
    }
    co_await Pause(lane, std::min(kRetryPause * number_of_try, kRetryPauseMax));
  }
  if (any_accepted) ++counts_.messages_accepted;
}

smtp::ConnectionOptions Load::ConnectOptions() const {
  smtp::ConnectionOptions connect;
  connect.core.ehlo_name = "load.test";
  connect.core.tls = smtp::TlsPolicy::kNone;
  connect.core.recipients_max = options_.recipients;
  // One more, so that the connection is still there for QUIT.
  connect.core.messages_max = options_.messages_per_connection + 1;
  if (options_.plain) connect.core.pipelined_commands_max = 1;
  connect.timeouts.connect = absl::Seconds(5);
  connect.timeouts.greeting = absl::Seconds(30);
  connect.timeouts.command = absl::Seconds(30);
  connect.timeouts.data = absl::Seconds(30);
  connect.timeouts.block = absl::Seconds(60);
  connect.timeouts.final_dot = options_.answer_timeout;
  return connect;
}

// Whether the lane has a connection now. Each target is tried at once, all of them after a pause.
asio::awaitable<bool> Load::Connect(Lane& lane) {
  if (lane.connection != nullptr && lane.connection->reusable() && lane.connection->quiet()) {
    if (lane.connection->messages() < options_.messages_per_connection) co_return true;
    co_await lane.connection->Quit();
    NextTarget(lane);
  }
  lane.connection.reset();
  const absl::Duration give_up = clock_.SinceBoot() + options_.patience;
  absl::Duration pause = kConnectPause;
  for (size_t failures = 0;;) {
    const smtp::Endpoint& target = targets_[lane.target];
    std::vector<smtp::NextHop> hops(1);
    hops[0].host = target.address.ToLiteral();
    hops[0].endpoint = target;
    smtp::Connection::Opened opened =
        co_await smtp::Connection::Open(executor_, std::move(hops), ConnectOptions());
    if (opened.connection != nullptr) {
      ++counts_.connections;
      lane.connection = std::move(opened.connection);
      co_return true;
    }
    ++counts_.connections_failed;
    NextTarget(lane);
    if (stopping_ || clock_.SinceBoot() >= give_up) co_return false;
    if (++failures % targets_.size() != 0) continue;
    co_await Pause(lane, pause);
    pause = std::min(pause * 2, kConnectPauseMax);
  }
}

asio::awaitable<void> Load::Offer(Lane& lane, Try& attempt) {
  const Content content =
      content_.Make(attempt.id, options_.sender, attempt.recipients.front(), SizeOf(), attempt.at);
  attempt.bytes = content.bytes;
  attempt.digest = content.digest;
  smtp::Transaction transaction;
  transaction.reverse_path = options_.sender;
  transaction.content_bytes = content.bytes;
  for (const std::string& recipient : attempt.recipients) {
    smtp::TransactionRecipient to;
    to.mailbox = recipient;
    transaction.recipients.push_back(std::move(to));
  }
  ContentBody body(content);
  DotTimer dot(clock_);
  const smtp::TransactionResult result =
      co_await lane.connection->Send(std::move(transaction), body, dot);
  TakeResult(lane, attempt, result, dot.at());
}

void Load::TakeResult(Lane& lane, Try& attempt, const smtp::TransactionResult& result,
                      absl::Duration dot_at) {
  const absl::Duration now = clock_.SinceBoot();
  const std::string target = targets_[lane.target].ToString();
  bool accepted = false;
  for (size_t i = 0; i < attempt.recipients.size(); ++i) {
    const smtp::RecipientOutcome& outcome = result.recipients[i];
    const OfferEnd end = EndOf(outcome.outcome);
    Note(attempt, attempt.recipients[i], end, target, outcome.answer.ToString());
    accepted = accepted || end == OfferEnd::kAccepted;
    counts_.accepted += end == OfferEnd::kAccepted ? 1 : 0;
    counts_.temporary += end == OfferEnd::kTemporary ? 1 : 0;
    counts_.permanent += end == OfferEnd::kPermanent ? 1 : 0;
    counts_.unknown += end == OfferEnd::kUnknown ? 1 : 0;
    if (end == OfferEnd::kTemporary) attempt.open.push_back(attempt.recipients[i]);
  }
  if (accepted) {
    counts_.bytes_accepted += attempt.bytes;
    last_accepted_ = now;
    whole_latency_.Add(now - attempt.begun);
    dot_latency_.Add(now - dot_at);
  }
  if (!result.reusable) {
    ++counts_.connections_broken;
    lane.connection.reset();
    NextTarget(lane);
  }
}

void Load::Note(const Try& attempt, const std::string& recipient, OfferEnd end,
                const std::string& target, std::string answer) {
  if (record_ == nullptr) return;
  bench::Offer offer;
  offer.id = attempt.id;
  offer.recipient = recipient;
  offer.at_us = absl::ToUnixMicros(attempt.at);
  offer.answered_us = absl::ToUnixMicros(clock_.Now());
  offer.target = target;
  offer.attempt = attempt.attempt;
  offer.end = end;
  offer.digest = attempt.digest;
  offer.answer = std::move(answer);
  record_->Append(offer);
}

}  // namespace holdfast::bench
