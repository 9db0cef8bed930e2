// node/delivery/attempt_conversation.h
// AttemptConversation is one attempt under way: the coroutine that finds a connection and sends.
// Threads:  lives and dies on one io thread. Lifetime: its coroutine owns it.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "node/delivery/attempt_runner.h"
#include "smtp/client/client.h"
#include "smtp/client/connection_pool.h"
#include "smtp/dns/mx_lookup.h"
#include "smtp/dns/resolver.h"

namespace holdfast::node {

// What the conversation works with; all outlive it.
struct AttemptPlace {
  boost::asio::any_io_executor executor;
  smtp::Resolver& resolver;
  smtp::ConnectionPool& pool;
};

class AttemptConversation final : public smtp::Fence {
 public:
  AttemptConversation(AttemptRunner& runner, AttemptPlace place, std::shared_ptr<AttemptTask> task);

  // The whole attempt. Never fails: the report says what happened.
  boost::asio::awaitable<AttemptReport> Run();
  // Ends it if the final dot has not gone out. True: it has no connection yet and will never send,
  // but looking for one may take long; what it will report is NotSent().
  bool AbortBeforeDot();
  AttemptReport NotSent() const;
  GroupId group() const { return task_->group; }

  boost::asio::awaitable<absl::Status> BeforeFinalDot() override;

 private:
  // One transaction with the recipients that are still undecided.
  boost::asio::awaitable<void> SendOnce();
  boost::asio::awaitable<bool> FindConnection();
  smtp::ConnectionOptions MakeConnectionOptions() const;
  void FailAll(const smtp::Answer& answer, smtp::OutcomeClass outcome, smtp::Phase phase);
  void Take(const smtp::TransactionResult& result, const std::vector<size_t>& positions);
  // Our content could not be had: nothing of it was sent to its end.
  void TakeOwnFailure(const absl::Status& failure, const std::optional<raft::BodyRef>& unreadable);
  std::vector<size_t> Undecided() const;

  AttemptRunner& runner_;
  const AttemptPlace place_;
  const std::shared_ptr<AttemptTask> task_;
  smtp::ConnectionKey key_;
  std::unique_ptr<smtp::Connection> connection_;
  std::optional<absl::Status> intent_;
  bool reused_ = false;
  bool aborted_ = false;
  // Another transaction may be tried at once for what is undecided.
  bool again_ = true;
  AttemptReport report_;
};

}  // namespace holdfast::node
