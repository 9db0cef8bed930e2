#include "raft/transport/grpc_served_calls.h"

#include <atomic>
#include <map>
#include <utility>

#include "base/mutex.h"

namespace holdfast::raft {

// Calls of each peer that the handler has. Shared: answers may come late.
class ServedCalls::Counts {
 public:
  bool TryAdd(NodeId peer, uint32_t max) {
    MutexLock lock(mutex_);
    uint32_t& running = running_[peer];
    if (running >= max) return false;
    ++running;
    return true;
  }
  void Subtract(NodeId peer) {
    MutexLock lock(mutex_);
    if (--running_[peer] == 0) running_.erase(peer);
  }

 private:
  Mutex mutex_;
  std::map<NodeId, uint32_t> running_ ABSL_GUARDED_BY(mutex_);
};

// The one right to finish an RPC. The reactor and the answer stand until it is used.
class ServedCalls::Answering {
 public:
  Answering(grpc::ServerUnaryReactor* reactor, peer::CallAnswer* answer, uint64_t bytes_max)
      : reactor_(reactor), answer_(answer), bytes_max_(bytes_max) {}

  void Answer(absl::StatusOr<std::string> result) {
    grpc::ServerUnaryReactor* reactor = reactor_.exchange(nullptr);
    if (reactor == nullptr) return;
    answer_->set_taken(true);
    if (!result.ok()) {
      SetCallError(result.status(), answer_);
    } else if (result->size() > bytes_max_) {
      // It was done, and the caller can't know: anything but "not done".
      SetCallError(absl::DeadlineExceededError("an answer of more than call_bytes_max"), answer_);
    } else {
      answer_->set_answer(*std::move(result));
    }
    reactor->Finish(grpc::Status::OK);
  }
  void Cancel() {
    grpc::ServerUnaryReactor* reactor = reactor_.exchange(nullptr);
    if (reactor != nullptr) reactor->Finish(grpc::Status::CANCELLED);
  }

 private:
  std::atomic<grpc::ServerUnaryReactor*> reactor_;
  peer::CallAnswer* const answer_;
  const uint64_t bytes_max_;
};

// gRPC's end of a call; deletes itself when gRPC is done with it.
class ServedCalls::Reactor final : public grpc::ServerUnaryReactor {
 public:
  Reactor(peer::CallAnswer* answer, uint64_t bytes_max)
      : answering_(std::make_shared<Answering>(this, answer, bytes_max)) {}
  const std::shared_ptr<Answering>& answering() const { return answering_; }

 private:
  void OnCancel() override { answering_->Cancel(); }
  void OnDone() override { delete this; }

  const std::shared_ptr<Answering> answering_;
};

// The handler's end of a call: what its CallReply holds.
class ServedCalls::Ticket {
 public:
  Ticket(std::shared_ptr<Counts> counts, NodeId peer, std::shared_ptr<Answering> answering)
      : counts_(std::move(counts)), peer_(peer), answering_(std::move(answering)) {}
  ~Ticket() { Reply(absl::DeadlineExceededError("dropped without an answer")); }
  Ticket(const Ticket&) = delete;
  Ticket& operator=(const Ticket&) = delete;

  void Reply(absl::StatusOr<std::string> result) {
    if (replied_.exchange(true)) return;
    // Before the peer hears of it, so that its next call finds the room.
    counts_->Subtract(peer_);
    answering_->Answer(std::move(result));
  }

 private:
  const std::shared_ptr<Counts> counts_;
  const NodeId peer_;
  const std::shared_ptr<Answering> answering_;
  std::atomic<bool> replied_{false};
};

ServedCalls::ServedCalls(const GrpcTransportOptions& options, PeerHandler& handler)
    : options_(options), handler_(handler), counts_(std::make_shared<Counts>()) {}

grpc::ServerUnaryReactor* ServedCalls::Serve(grpc::CallbackServerContext& context, NodeId peer,
                                             std::string request, peer::CallAnswer* answer) {
  if (!counts_->TryAdd(peer, options_.calls_served_per_peer_max)) {
    SetCallError(absl::ResourceExhaustedError("calls_served_per_peer_max reached"), answer);
    return FinishNow(context);
  }
  auto* reactor = new Reactor(answer, options_.call_bytes_max);
  const auto ticket = std::make_shared<Ticket>(counts_, peer, reactor->answering());
  handler_.OnCall(peer, std::move(request), [ticket](absl::StatusOr<std::string> result) {
    ticket->Reply(std::move(result));
  });
  // Finished or not, it stands until gRPC got it.
  return reactor;
}

void SetCallError(const absl::Status& error, peer::CallAnswer* answer) {
  answer->set_code(static_cast<uint32_t>(error.raw_code()));
  answer->set_error(std::string(holdfast::Message(error).substr(0, kCallErrorBytesMax)));
}

grpc::ServerUnaryReactor* FinishNow(grpc::CallbackServerContext& context) {
  grpc::ServerUnaryReactor* reactor = context.DefaultReactor();
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

}  // namespace holdfast::raft
