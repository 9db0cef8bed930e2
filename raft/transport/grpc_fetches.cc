#include "raft/transport/grpc_fetches.h"

#include <utility>

#include "raft/transport/peer_codec.h"

namespace holdfast::raft {

GrpcFetches::GrpcFetches(const GrpcTransportOptions& options, const GrpcCredentials& credentials,
                         PeerHandler& handler, Watchdog& watchdog, Later later)
    : options_(options),
      credentials_(credentials),
      handler_(handler),
      watchdog_(watchdog),
      later_(std::move(later)) {
  for (uint32_t i = 0; i < options_.fetches_max; ++i) {
    threads_.emplace_back([this] { Run(); });
  }
}

GrpcFetches::~GrpcFetches() { Stop(); }

void GrpcFetches::Add(PeerAddress peer, std::string request, std::shared_ptr<FetchSink> sink) {
  absl::Status refused;
  {
    MutexLock lock(mutex_);
    if (stopping_) {
      refused = absl::CancelledError("the transport stops");
    } else if (request.size() > options_.fetch_request_bytes_max) {
      refused = absl::ResourceExhaustedError("fetch_request_bytes_max reached");
    } else if (waiting_.size() >= options_.fetches_waiting_max) {
      refused = absl::ResourceExhaustedError("fetches_waiting_max reached");
    } else {
      waiting_.push_back({std::move(peer), std::move(request), std::move(sink)});
      changed_.NotifyOne();
      return;
    }
  }
  // Not from within the call: the caller may hold what the sink needs.
  later_([sink = std::move(sink), refused] { sink->OnDone(refused); });
}

void GrpcFetches::Stop() {
  std::deque<Job> waiting;
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    waiting.swap(waiting_);
    for (grpc::ClientContext* context : open_) context->TryCancel();
    changed_.NotifyAll();
  }
  for (const Job& job : waiting) job.sink->OnDone(absl::CancelledError("the transport stops"));
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void GrpcFetches::Run() {
  while (true) {
    Job job;
    grpc::ClientContext context;
    {
      MutexLock lock(mutex_);
      while (waiting_.empty() && !stopping_) changed_.Wait(mutex_);
      if (stopping_) return;
      job = std::move(waiting_.front());
      waiting_.pop_front();
      open_.insert(&context);
    }
    const absl::Status status = Pull(job, context);
    {
      MutexLock lock(mutex_);
      open_.erase(&context);
    }
    job.sink->OnDone(status);
  }
}

absl::Status GrpcFetches::CheckPiece(const Job& job, const grpc::ClientContext& context, bool first,
                                     const peer::FetchPiece& piece) {
  if (piece.format() != kPeerFormat) {
    return MakeStatus(absl::StatusCode::kUnimplemented, "piece of format {}, not {}",
                      piece.format(), kPeerFormat);
  }
  if (piece.has_hello() != first) return absl::InvalidArgumentError("hello missing or misplaced");
  if (!first) {
    if (!piece.bytes().empty() && piece.bytes().size() <= kFetchPieceBytesMax) {
      return absl::OkStatus();
    }
    return absl::InvalidArgumentError("a piece that is empty or too long");
  }
  HOLDFAST_RETURN_IF_ERROR(
      CheckHelloOf(piece.hello(), *context.auth_context(), options_, job.peer.node).status());
  return handler_.OnHello(job.peer.node, piece.hello().host());
}

absl::Status GrpcFetches::Pull(const Job& job, grpc::ClientContext& context) {
  const std::shared_ptr<grpc::Channel> channel = credentials_.Connect(options_, job.peer.address);
  const std::unique_ptr<peer::Peer::Stub> stub = peer::Peer::NewStub(channel);
  peer::FetchRequest request;
  request.set_format(kPeerFormat);
  *request.mutable_hello() =
      MakeHello(options_, job.peer.node, peer::STREAM_FETCH, handler_.Hello(job.peer.node));
  request.set_request(job.request);
  const auto cancel = [&context] { context.TryCancel(); };
  absl::Status ours;
  std::unique_ptr<grpc::ClientReader<peer::FetchPiece>> reader;
  {
    Watchdog::Guard guard = watchdog_.Arm(options_.connect_timeout, cancel);
    reader = stub->Fetch(&context, request);
    if (guard.Disarm()) ours = absl::DeadlineExceededError("no connection in time");
  }
  for (bool first = true; ours.ok(); first = false) {
    peer::FetchPiece piece;
    Watchdog::Guard guard =
        watchdog_.Arm(first ? options_.hello_timeout + options_.fetch_piece_timeout
                            : options_.fetch_piece_timeout,
                      cancel);
    const bool read = reader->Read(&piece);
    if (guard.Disarm()) ours = absl::DeadlineExceededError("no piece in time");
    if (!read || !ours.ok()) break;
    ours = CheckPiece(job, context, first, piece);
    if (ours.ok() && !first) ours = job.sink->OnPiece(std::move(*piece.mutable_bytes()));
  }
  if (!ours.ok()) context.TryCancel();
  Watchdog::Guard guard = watchdog_.Arm(options_.hello_timeout, cancel);
  const absl::Status theirs = FromGrpc(reader->Finish());
  return ours.ok() ? theirs : ours;
}

}  // namespace holdfast::raft
