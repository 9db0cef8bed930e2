// node/late_sink.h
// LateSink lets listeners be bound, which may need root, before the queue behind them exists.
// Threads:  Set() before the listeners start; then thread-safe as the sink behind it.
// Lifetime: the sink outlives every session.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "base/check.h"
#include "smtp/server/message_sink.h"

namespace holdfast::node {

class LateSink final : public smtp::MessageSink {
 public:
  void Set(smtp::MessageSink* sink) { sink_ = sink; }

  absl::StatusOr<std::unique_ptr<smtp::Submission>> Begin(
      std::shared_ptr<const smtp::Envelope> envelope) override {
    HOLDFAST_CHECK(sink_ != nullptr) << "a session before the start";
    return sink_->Begin(std::move(envelope));
  }
  void Confirmed(const std::string& queue_id) override { sink_->Confirmed(queue_id); }
  void Unconfirmed(const std::string& queue_id) override { sink_->Unconfirmed(queue_id); }

 private:
  smtp::MessageSink* sink_ = nullptr;
};

}  // namespace holdfast::node
