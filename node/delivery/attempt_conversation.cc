#include "node/delivery/attempt_conversation.h"

#include <utility>

#include "base/log.h"

#include "node/await_callback.h"

namespace holdfast::node {
namespace {

// One transaction may leave recipients for the next (RCPTMAX, 452 after some): a bound on how
// often.
constexpr int kTransactionsMax = 40;

// The content, body by body, as the store has it.
class StoredContent final : public smtp::BodySource {
 public:
  StoredContent(const raft::Store& store, const std::vector<raft::BodyRef>& bodies)
      : store_(store), bodies_(bodies) {}

  boost::asio::awaitable<absl::StatusOr<std::shared_ptr<const std::string>>> Next() override {
    if (next_ == bodies_.size()) co_return std::shared_ptr<const std::string>();
    const raft::BodyRef& ref = bodies_[next_++];
    absl::StatusOr<raft::Body> body = store_.ReadBody(ref.key);
    const absl::StatusCode code = body.status().code();
    if (code == absl::StatusCode::kDataLoss || code == absl::StatusCode::kNotFound) {
      unreadable_ = ref;
    }
    if (!body.ok()) co_return body.status();
    co_return *std::move(body);
  }
  // The last body that is damaged or missing.
  const std::optional<raft::BodyRef>& unreadable() const { return unreadable_; }

 private:
  const raft::Store& store_;
  const std::vector<raft::BodyRef>& bodies_;
  std::optional<raft::BodyRef> unreadable_;
  size_t next_ = 0;
};

smtp::TlsPolicy TlsOf(TlsPolicy policy) {
  switch (policy) {
    case TlsPolicy::kNone:
      return smtp::TlsPolicy::kNone;
    case TlsPolicy::kMay:
      return smtp::TlsPolicy::kMay;
    case TlsPolicy::kEncrypt:
      return smtp::TlsPolicy::kEncrypt;
    case TlsPolicy::kVerify:
      return smtp::TlsPolicy::kVerify;
  }
  return smtp::TlsPolicy::kMay;
}

// nullopt: an address literal that is no address.
std::optional<smtp::Route> RouteOf(const RouteSettings& settings, const std::string& destination) {
  smtp::Route route;
  switch (settings.kind) {
    case NextHopKind::kMx: {
      std::optional<smtp::Route> direct = smtp::RouteByDestination(destination);
      if (direct) direct->port = settings.port;
      return direct;
    }
    case NextHopKind::kMxOf:
      route.kind = smtp::Route::Kind::kMx;
      break;
    case NextHopKind::kHost:
      route.kind = smtp::Route::Kind::kHost;
      break;
  }
  route.host = settings.host;
  route.port = settings.port;
  route.is_explicit = true;
  if (route.kind == smtp::Route::Kind::kHost) {
    if (const std::optional<smtp::IpAddress> address = smtp::IpAddress::Parse(settings.host)) {
      route.kind = smtp::Route::Kind::kAddress;
      route.address = *address;
      route.host.clear();
    }
  }
  return route;
}

std::string RemoteText(const smtp::RemoteFacts& remote) {
  if (remote.host.empty()) return remote.endpoint.ToString();
  if (remote.host.front() == '[') return format("{}:{}", remote.host, remote.endpoint.port);
  return format("{} [{}]:{}", remote.host, remote.endpoint.address.ToString(),
                remote.endpoint.port);
}

smtp::Answer OwnAnswer(int code, smtp::EnhancedCode enhanced, std::string text) {
  smtp::Answer answer;
  answer.code = code;
  answer.enhanced = enhanced;
  answer.lines = {std::move(text)};
  return answer;
}

}  // namespace

AttemptConversation::AttemptConversation(AttemptRunner& runner, AttemptPlace place,
                                         std::shared_ptr<AttemptTask> task)
    : runner_(runner), place_(std::move(place)), task_(std::move(task)) {
  report_.started = runner_.clock_.Now();
  report_.outcomes.resize(task_->recipients.size());
}

bool AttemptConversation::AbortBeforeDot() {
  aborted_ = true;
  if (connection_ == nullptr) return !report_.intent_made;
  connection_->AbortBeforeDot();
  return false;
}

AttemptReport AttemptConversation::NotSent() const {
  return StoppedReport(*task_, report_.started, runner_.clock_.Now());
}

std::vector<size_t> AttemptConversation::Undecided() const {
  std::vector<size_t> positions;
  for (size_t i = 0; i < report_.outcomes.size(); ++i) {
    if (report_.outcomes[i].outcome == smtp::OutcomeClass::kNotAttempted) positions.push_back(i);
  }
  return positions;
}

void AttemptConversation::FailAll(const smtp::Answer& answer, smtp::OutcomeClass outcome,
                                  smtp::Phase phase) {
  for (const size_t position : Undecided()) {
    smtp::RecipientOutcome& mine = report_.outcomes[position];
    mine.outcome = outcome;
    mine.answer = answer;
    mine.phase = phase;
    mine.retry_now = false;
  }
}

boost::asio::awaitable<AttemptReport> AttemptConversation::Run() {
  for (int i = 0; i < kTransactionsMax && again_ && !aborted_; ++i) {
    again_ = false;
    co_await SendOnce();
  }
  if (connection_ != nullptr) place_.pool.Give(key_, std::move(connection_));
  if (aborted_ && !report_.intent_made && !Undecided().empty()) {
    report_.not_sent = true;
    if (report_.not_sent_reason.empty()) report_.not_sent_reason = std::string(kAttemptsStopped);
  }
  report_.ended = runner_.clock_.Now();
  co_return std::move(report_);
}

smtp::ConnectionOptions AttemptConversation::MakeConnectionOptions() const {
  const AttemptSettings& attempts = runner_.options_.attempts;
  const DestinationSettings& destination = task_->policy->DestinationFor(task_->destination);
  smtp::ConnectionOptions options;
  options.core.ehlo_name = runner_.options_.hostname;
  options.core.tls = key_.tls;
  options.core.recipients_max = destination.recipients_per_transaction_max;
  options.core.messages_max = destination.messages_per_connection_max;
  options.timeouts.connect = attempts.connect_timeout;
  options.timeouts.greeting = attempts.greeting_timeout;
  options.timeouts.command = attempts.command_timeout;
  options.timeouts.tls_handshake = attempts.tls_handshake_timeout;
  options.timeouts.data = attempts.data_timeout;
  options.timeouts.block = attempts.block_timeout;
  options.timeouts.final_dot = attempts.final_dot_timeout;
  options.source_ipv4 = smtp::IpAddress::Parse(attempts.source_ipv4);
  options.source_ipv6 = smtp::IpAddress::Parse(attempts.source_ipv6);
  options.tls_opportunistic = runner_.tls_opportunistic_;
  options.tls_verify = runner_.tls_verify_;
  options.connector = runner_.connector_;
  return options;
}

boost::asio::awaitable<bool> AttemptConversation::FindConnection() {
  const RouteSettings& settings = task_->policy->RouteFor(task_->destination);
  const std::optional<smtp::Route> route = RouteOf(settings, task_->destination);
  if (!route) {
    FailAll(OwnAnswer(550, {5, 1, 2}, "The destination is not a valid address literal"),
            smtp::OutcomeClass::kPermanent, smtp::Phase::kRoute);
    co_return false;
  }
  key_.host = route->kind == smtp::Route::Kind::kAddress ? route->address.ToLiteral() : route->host;
  key_.port = route->port;
  key_.tls = TlsOf(settings.tls);
  // What another slot left open counts against that slot (queue/schedule/attempt_permits.h).
  key_.source = format("slot {}", task_->slot);
  connection_ = place_.pool.Take(key_);
  reused_ = connection_ != nullptr;
  if (reused_) co_return true;

  smtp::MxPlanOptions plan_options;
  plan_options.addresses_max = task_->policy->settings().addresses_per_attempt_max;
  plan_options.own_names.insert(runner_.options_.hostname);
  for (const std::string& text : runner_.options_.own_addresses) {
    if (const auto address = smtp::IpAddress::Parse(text))
      plan_options.own_addresses.insert(*address);
  }
  const uint64_t seed = runner_.seed_.fetch_add(0x9e3779b97f4a7c15ULL);
  smtp::RoutePlan plan =
      co_await smtp::PlanRoute(place_.resolver, *route, std::move(plan_options), seed);
  if (plan.hops.empty()) {
    const smtp::RouteFailure& failure = *plan.failure;
    FailAll(OwnAnswer(failure.code, failure.enhanced, failure.text),
            failure.permanent ? smtp::OutcomeClass::kPermanent : smtp::OutcomeClass::kTemporary,
            smtp::Phase::kRoute);
    report_.destination_failed = !failure.permanent;
    co_return false;
  }
  smtp::ConnectionOptions options = MakeConnectionOptions();
  const bool incomplete = plan.incomplete;
  smtp::Connection::Opened opened =
      co_await smtp::Connection::Open(place_.executor, std::move(plan.hops), std::move(options));
  connection_ = std::move(opened.connection);
  if (connection_ != nullptr) co_return true;
  const smtp::HopFailure& failure = smtp::DecidingFailure(opened.failures);
  smtp::OutcomeClass outcome = failure.failure.outcome;
  if (incomplete) outcome = smtp::OutcomeClass::kTemporary;
  report_.remote = RemoteText(failure.remote);
  report_.destination_failed = outcome == smtp::OutcomeClass::kTemporary;
  FailAll(failure.failure.answer, outcome, failure.failure.phase);
  co_return false;
}

boost::asio::awaitable<void> AttemptConversation::SendOnce() {
  if (connection_ == nullptr || !connection_->reusable()) {
    connection_.reset();
    bool found = co_await FindConnection();
    if (!found || aborted_) co_return;
  }
  const std::vector<size_t> positions = Undecided();
  smtp::Transaction transaction = task_->transaction;
  for (const size_t position : positions) {
    transaction.recipients.push_back(task_->recipients[position].recipient);
  }
  StoredContent content(runner_.store_, task_->bodies);
  smtp::TransactionResult result =
      co_await connection_->Send(std::move(transaction), content, *this);
  if (!result.own_failure.ok() && !result.dot_sent) {
    TakeOwnFailure(result.own_failure, content.unreadable());
  }
  Take(result, positions);
}

void AttemptConversation::TakeOwnFailure(const absl::Status& failure,
                                         const std::optional<raft::BodyRef>& unreadable) {
  report_.not_sent = true;
  report_.not_sent_reason = std::string(Message(failure));
  report_.unreadable = unreadable;
  if (!unreadable) return;
  Log(LogLevel::kError, "body_unreadable",
      {{"queue_id", task_->queue_id}, {"reason", report_.not_sent_reason}});
}

void AttemptConversation::Take(const smtp::TransactionResult& result,
                               const std::vector<size_t>& positions) {
  report_.remote = RemoteText(result.remote);
  if (result.remote.tls.active) {
    report_.tls = format("{} {}", result.remote.tls.version, result.remote.tls.cipher);
  }
  report_.dsn_passed_on |= result.dsn_passed_on;
  bool decided_some = false;
  bool retry_now = false;
  for (size_t i = 0; i < positions.size() && i < result.recipients.size(); ++i) {
    report_.outcomes[positions[i]] = result.recipients[i];
    decided_some |= result.recipients[i].outcome != smtp::OutcomeClass::kNotAttempted;
    retry_now |= result.recipients[i].retry_now;
  }
  // A kept connection that had ended is no attempt; nor are recipients that did not fit.
  again_ = !report_.not_sent && retry_now && (decided_some || std::exchange(reused_, false));
}

boost::asio::awaitable<absl::Status> AttemptConversation::BeforeFinalDot() {
  if (aborted_) co_return absl::CancelledError(std::string(kAttemptsStopped));
  if (intent_.has_value() && !intent_->ok()) co_return *intent_;
  // The first dot of the attempt needs an intent, each further one that we still lead.
  const bool first = !intent_.has_value();
  AttemptRunner* const runner = &runner_;
  std::shared_ptr<AttemptTask> task = task_;
  auto start = [runner, task, first](auto done) {
    std::function<void(absl::Status)> answer(std::move(done));
    if (first) {
      runner->intents_.RecordIntent(*task, std::move(answer));
    } else {
      runner->intents_.ConfirmLeadership(*task, std::move(answer));
    }
  };
  absl::Status status = co_await AwaitCallback<absl::Status>(start);
  if (first) intent_ = status;
  // Committed, committed but the lease is lost, or perhaps committed.
  report_.intent_made |= status.ok() || absl::IsAborted(status) || absl::IsDeadlineExceeded(status);
  if (status.ok() && aborted_) co_return absl::CancelledError(std::string(kAttemptsStopped));
  co_return status;
}

}  // namespace holdfast::node
