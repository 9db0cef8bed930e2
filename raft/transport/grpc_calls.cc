#include "raft/transport/grpc_calls.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "raft/transport/peer_codec.h"

namespace holdfast::raft {
namespace {

using absl::StatusCode;

// On the monotonic clock. Whoever waits for longer than a day waits for a day.
gpr_timespec DeadlineIn(absl::Duration timeout) {
  const absl::Duration bounded = std::clamp(timeout, absl::ZeroDuration(), absl::Hours(24));
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                      gpr_time_from_micros(absl::ToInt64Microseconds(bounded), GPR_TIMESPAN));
}

absl::Status Stopped() { return absl::CancelledError("the transport stops, or the peer left"); }

// What went wrong, when nothing tells whether the request was done.
absl::Status Unknown(const absl::Status& why) {
  return MakeStatus(StatusCode::kDeadlineExceeded, "outcome unknown: {}", why.ToString());
}

// Certainly not done.
absl::Status NotDone(const absl::Status& why) {
  return MakeStatus(StatusCode::kUnavailable, "not asked: {}", why.ToString());
}

absl::Status SaidBy(const peer::CallAnswer& answer) {
  if (answer.code() == 0) return absl::OkStatus();
  const bool known = answer.code() <= static_cast<uint32_t>(StatusCode::kUnauthenticated);
  return absl::Status(known ? static_cast<StatusCode>(answer.code()) : StatusCode::kUnknown,
                      answer.error());
}

}  // namespace

GrpcCallLink::GrpcCallLink(const GrpcTransportOptions& options, const GrpcCredentials& credentials,
                           PeerHandler& handler, PeerAddress peer)
    : options_(options),
      handler_(handler),
      peer_(std::move(peer)),
      channel_(credentials.Connect(options, peer_.address)),
      stub_(peer::Peer::NewStub(channel_)) {}

absl::Status GrpcCallLink::CheckRoom(uint64_t bytes) const {
  if (stopping_) return Stopped();
  if (bytes > options_.call_bytes_max) {
    return absl::ResourceExhaustedError("call_bytes_max reached");
  }
  if (calls_.size() >= options_.calls_per_peer_max) {
    return absl::ResourceExhaustedError("calls_per_peer_max reached");
  }
  if (bytes_ + bytes > options_.call_bytes_in_flight_max) {
    return absl::ResourceExhaustedError("call_bytes_in_flight_max reached");
  }
  return absl::OkStatus();
}

void GrpcCallLink::Call(std::string request, absl::Duration timeout, CallReply done) {
  const auto asked = std::make_shared<Asked>();
  asked->deadline = DeadlineIn(timeout);
  asked->bytes = request.size();
  asked->done = std::move(done);
  asked->request.set_format(kPeerFormat);
  *asked->request.mutable_hello() =
      MakeHello(options_, peer_.node, peer::STREAM_CALL, /*host=*/std::string());
  asked->request.set_request(std::move(request));
  // True: connect, if there is no connection.
  const bool ready = channel_->GetState(true) == GRPC_CHANNEL_READY;
  std::shared_ptr<Asked> greeting;
  bool waiting = true;
  absl::Status refused;
  {
    MutexLock lock(mutex_);
    refused = CheckRoom(asked->bytes);
    if (refused.ok()) {
      asked->id = next_id_++;
      bytes_ += asked->bytes;
      calls_[asked->id] = asked;
      waiting = asked->waiting = !(ready && greeted_ && greeting_ == nullptr);
      if (waiting && greeting_ == nullptr) greeting = greeting_ = std::make_shared<Asked>();
    }
  }
  if (!refused.ok()) return asked->done(refused);
  if (!waiting) return Ask(asked);
  // Finds nothing to do if the greeting was answered meanwhile.
  asked->alarm.Set(asked->deadline, [weak = weak_from_this(), id = asked->id](bool expired) {
    const std::shared_ptr<GrpcCallLink> link = expired ? weak.lock() : nullptr;
    if (link != nullptr) link->OnExpired(id);
  });
  if (greeting != nullptr) Greet(greeting);
}

void GrpcCallLink::Remove(const Asked& asked) {
  bytes_ -= asked.bytes;
  calls_.erase(asked.id);
}

void GrpcCallLink::End(Asked& asked, absl::StatusOr<std::string> result) {
  // With it goes what it holds, before Join() may return.
  CallReply done = std::exchange(asked.done, nullptr);
  done(std::move(result));
  done = nullptr;
  asked.context = nullptr;
  MutexLock lock(mutex_);
  --running_;
  changed_.NotifyAll();
}

void GrpcCallLink::OnExpired(uint64_t id) {
  std::shared_ptr<Asked> asked;
  {
    MutexLock lock(mutex_);
    const auto found = calls_.find(id);
    if (found == calls_.end() || !found->second->waiting) return;
    asked = found->second;
    asked->waiting = false;
    Remove(*asked);
    ++running_;
  }
  End(*asked, NotDone(absl::DeadlineExceededError("no connection in time")));
}

void GrpcCallLink::Greet(const std::shared_ptr<Asked>& greeting) {
  greeting->request.set_format(kPeerFormat);
  greeting->request.set_greeting(true);
  *greeting->request.mutable_hello() =
      MakeHello(options_, peer_.node, peer::STREAM_CALL, handler_.Hello(peer_.node));
  greeting->context->set_deadline(DeadlineIn(options_.connect_timeout + options_.hello_timeout));
  stub_->async()->Call(
      greeting->context.get(), &greeting->request, &greeting->answer,
      [this, greeting](const grpc::Status& status) { OnGreeted(*greeting, status); });
}

absl::Status GrpcCallLink::CheckGreeting(Asked& greeting, const grpc::Status& status) {
  HOLDFAST_RETURN_IF_ERROR(FromGrpc(status));
  if (greeting.answer.format() != kPeerFormat) {
    return MakeStatus(StatusCode::kUnimplemented, "answer of format {}, not {}",
                      greeting.answer.format(), kPeerFormat);
  }
  HOLDFAST_RETURN_IF_ERROR(SaidBy(greeting.answer));
  absl::Status ours =
      CheckHelloOf(greeting.answer.hello(), *greeting.context->auth_context(), options_, peer_.node)
          .status();
  if (ours.ok()) ours = handler_.OnHello(peer_.node, greeting.answer.hello().host());
  return Annotate(ours, "refused the peer's hello");
}

void GrpcCallLink::OnGreeted(Asked& greeting, const grpc::Status& status) {
  const absl::Status greeted = CheckGreeting(greeting, status);
  std::vector<std::shared_ptr<Asked>> waited;
  bool stopping = false;
  {
    MutexLock lock(mutex_);
    greeting_ = nullptr;
    stopping = stopping_;
    greeted_ = greeted.ok();
    for (const auto& [id, asked] : calls_) {
      if (!asked->waiting) continue;
      asked->waiting = false;
      waited.push_back(asked);
    }
    // One for each that ends here, and one for ourselves: what follows uses the link.
    ++running_;
    if (!greeted.ok() || stopping) {
      for (const std::shared_ptr<Asked>& asked : waited) Remove(*asked);
      running_ += static_cast<uint32_t>(waited.size());
    } else {
      last_error_.clear();
    }
  }
  if (!stopping && greeted.ok()) {
    Log(LogLevel::kInfo, "peer_up",
        {{"peer", peer_.node.value()}, {"address", peer_.address}, {"stream", "call"}});
  } else if (!stopping) {
    LogDown(greeted);
  }
  for (const std::shared_ptr<Asked>& asked : waited) {
    if (stopping) {
      End(*asked, Stopped());
    } else if (!greeted.ok()) {
      End(*asked, NotDone(greeted));
    } else {
      Ask(asked);
    }
  }
  greeting.context = nullptr;
  MutexLock lock(mutex_);
  --running_;
  changed_.NotifyAll();
}

void GrpcCallLink::Ask(const std::shared_ptr<Asked>& asked) {
  asked->context->set_deadline(asked->deadline);
  stub_->async()->Call(asked->context.get(), &asked->request, &asked->answer,
                       [this, asked](const grpc::Status& status) { OnAnswered(*asked, status); });
}

absl::StatusOr<std::string> GrpcCallLink::ResultOf(Asked& asked, const grpc::Status& status) {
  if (!status.ok()) return Unknown(FromGrpc(status));
  peer::CallAnswer& answer = asked.answer;
  if (answer.format() != kPeerFormat) {
    return Unknown(MakeStatus(StatusCode::kUnimplemented, "answer of format {}, not {}",
                              answer.format(), kPeerFormat));
  }
  // The connection may be another than the one of the greeting, and what somebody else says about
  // our request is worth nothing.
  const absl::StatusOr<NodeId> peer =
      CheckHelloOf(answer.hello(), *asked.context->auth_context(), options_, peer_.node);
  if (!peer.ok()) return Unknown(Annotate(peer.status(), "refused the peer's hello"));
  const absl::Status said = SaidBy(answer);
  if (answer.taken()) {
    HOLDFAST_RETURN_IF_ERROR(said);
    if (answer.answer().size() > options_.call_bytes_max) {
      return Unknown(absl::ResourceExhaustedError("an answer of more than call_bytes_max"));
    }
    return std::move(*answer.mutable_answer());
  }
  if (said.ok()) return Unknown(absl::InvalidArgumentError("neither taken nor refused"));
  return absl::IsResourceExhausted(said) ? said : NotDone(said);
}

void GrpcCallLink::OnAnswered(Asked& asked, const grpc::Status& status) {
  absl::StatusOr<std::string> result = ResultOf(asked, status);
  const bool lost = status.error_code() == grpc::StatusCode::UNAVAILABLE;
  bool stopping = false;
  {
    MutexLock lock(mutex_);
    Remove(asked);
    ++running_;
    stopping = stopping_;
    // The next one looks whether the peer is still who it was.
    if (lost) greeted_ = false;
  }
  if (stopping && !status.ok()) {
    result = Stopped();
  } else if (lost) {
    LogDown(FromGrpc(status));
  }
  End(asked, std::move(result));
}

void GrpcCallLink::LogDown(const absl::Status& why) {
  {
    MutexLock lock(mutex_);
    if (last_error_ == why.ToString()) return;
    last_error_ = why.ToString();
  }
  Log(LogLevel::kWarn, "peer_down",
      {{"peer", peer_.node.value()},
       {"address", peer_.address},
       {"stream", "call"},
       {"reason", why.ToString()}});
}

void GrpcCallLink::PeerCame() { grpc::experimental::ChannelResetConnectionBackoff(channel_.get()); }

void GrpcCallLink::RequestStop() {
  // Under the lock, so that none is done meanwhile. Those that wait end with the greeting.
  MutexLock lock(mutex_);
  stopping_ = true;
  for (const auto& [id, asked] : calls_) asked->context->TryCancel();
  if (greeting_ != nullptr) greeting_->context->TryCancel();
}

void GrpcCallLink::Join() {
  RequestStop();
  MutexLock lock(mutex_);
  while (!calls_.empty() || greeting_ != nullptr || running_ > 0) changed_.Wait(mutex_);
}

}  // namespace holdfast::raft
