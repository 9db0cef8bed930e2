#include "raft/transport/grpc_served_calls.h"

#include <atomic>
#include <map>
#include <utility>

#include "base/mutex.h"

namespace holdfast::raft {

// Calls of each peer that the handler has, and the bytes of their requests. Shared: answers may
// come late.
class ServedCalls::Counts {
 public:
  // Null: added. Otherwise the name of the bound. A lone call may be of any size.
  const char* TryAdd(NodeId peer, uint64_t bytes, const GrpcTransportOptions& options) {
    MutexLock lock(mutex_);
    const Running now = running_[peer];
    if (now.calls >= options.calls_served_per_peer_max) return "calls_served_per_peer_max";
    if (now.calls > 0 && now.bytes + bytes > options.call_bytes_served_per_peer_max) {
      return "call_bytes_served_per_peer_max";
    }
    running_[peer] = {now.calls + 1, now.bytes + bytes};
    return nullptr;
  }
  void Subtract(NodeId peer, uint64_t bytes) {
    MutexLock lock(mutex_);
    Running& now = running_[peer];
    now.bytes -= bytes;
    if (--now.calls == 0) running_.erase(peer);
  }

 private:
  struct Running {
    uint32_t calls = 0;
    uint64_t bytes = 0;
  };
  Mutex mutex_;
  std::map<NodeId, Running> running_ ABSL_GUARDED_BY(mutex_);
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
  Ticket(std::shared_ptr<Counts> counts, NodeId peer, uint64_t bytes,
         std::shared_ptr<Answering> answering)
      : counts_(std::move(counts)), peer_(peer), bytes_(bytes), answering_(std::move(answering)) {}
  ~Ticket() { Reply(absl::DeadlineExceededError("dropped without an answer")); }
  Ticket(const Ticket&) = delete;
  Ticket& operator=(const Ticket&) = delete;

  void Reply(absl::StatusOr<std::string> result) {
    if (replied_.exchange(true)) return;
    // Before the peer hears of it, so that its next call finds the room.
    counts_->Subtract(peer_, bytes_);
    answering_->Answer(std::move(result));
  }

 private:
  const std::shared_ptr<Counts> counts_;
  const NodeId peer_;
  const uint64_t bytes_;
  const std::shared_ptr<Answering> answering_;
  std::atomic<bool> replied_{false};
};

ServedCalls::ServedCalls(const GrpcTransportOptions& options, PeerHandler& handler)
    : options_(options), handler_(handler), counts_(std::make_shared<Counts>()) {}

grpc::ServerUnaryReactor* ServedCalls::Serve(grpc::CallbackServerContext& context, NodeId peer,
                                             std::string request, peer::CallAnswer* answer) {
  if (const char* bound = counts_->TryAdd(peer, request.size(), options_)) {
    SetCallError(MakeStatus(absl::StatusCode::kResourceExhausted, "{} reached", bound), answer);
    return FinishNow(context);
  }
  auto* reactor = new Reactor(answer, options_.call_bytes_max);
  const auto ticket = std::make_shared<Ticket>(counts_, peer, request.size(), reactor->answering());
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
