#include "raft/transport/grpc_link.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "base/log.h"

namespace holdfast::raft {
namespace {

constexpr int kBackoffDoublingsMax = 16;
// Two nodes whose streams fail in one direction must not drive each other round.
constexpr absl::Duration kHurriedAfter = absl::Milliseconds(100);
// A host that was off answers no packet of a connect that began then, until TCP repeats it.
constexpr absl::Duration kConnectHangs = absl::Seconds(1);

std::string_view KindName(peer::StreamKind kind) {
  return kind == peer::STREAM_CONTROL ? "control" : "bulk";
}

}  // namespace

GrpcLink::GrpcLink(const LinkEnvironment& environment, PeerAddress peer, peer::StreamKind kind,
                   uint64_t seed)
    : environment_(environment),
      peer_(std::move(peer)),
      kind_(kind),
      messages_max_(control() ? environment.options.control_queue_messages_max
                              : environment.options.bulk_queue_messages_max),
      bytes_max_(control() ? environment.options.control_queue_bytes_max
                           : environment.options.bulk_queue_bytes_max),
      random_(seed),
      thread_([this] { Run(); }) {}

GrpcLink::~GrpcLink() { Join(); }

void GrpcLink::Join() {
  RequestStop();
  if (thread_.joinable()) thread_.join();
}

void GrpcLink::Send(GroupId group, Message message) {
  std::vector<GroupMessage> one;
  one.push_back({group, std::move(message)});
  SendAll(std::move(one));
}

void GrpcLink::SendAll(std::vector<GroupMessage> messages) {
  bool dropped = false;
  {
    MutexLock lock(mutex_);
    const bool was_empty = queue_.empty();
    for (GroupMessage& one : messages) {
      const uint64_t bytes = FrameBytes(one.message);
      if (state_ == State::kDown || stopping_ || queue_.size() >= messages_max_ ||
          bytes > environment_.options.message_bytes_max ||
          counts_.queued_bytes + bytes > bytes_max_) {
        ++counts_.dropped;
        dropped = true;
        continue;
      }
      queue_.push_back({one.group, std::move(one.message), bytes});
      counts_.queued_bytes += bytes;
    }
    counts_.queued_messages = queue_.size();
    if (was_empty && !queue_.empty()) changed_.NotifyAll();
  }
  if (dropped) environment_.unreachable(peer_.node);
}

void GrpcLink::PeerCame() {
  MutexLock lock(mutex_);
  if (state_ == State::kUp || broke_) return;
  peer_came_ = true;
  const bool hangs = opening_ && SystemClock().SinceBoot() - began_ > kConnectHangs;
  if (hangs && open_ != nullptr && !std::exchange(gave_up_, true)) open_->TryCancel();
  changed_.NotifyAll();
}

void GrpcLink::RequestStop() {
  MutexLock lock(mutex_);
  stopping_ = true;
  if (open_ != nullptr) open_->TryCancel();
  changed_.NotifyAll();
}

StreamCounts GrpcLink::counts() const {
  MutexLock lock(mutex_);
  StreamCounts counts = counts_;
  counts.connected = state_ == State::kUp;
  return counts;
}

bool GrpcLink::stopping() const {
  MutexLock lock(mutex_);
  return stopping_;
}

void GrpcLink::CountDropped(uint64_t messages) {
  if (messages == 0) return;
  {
    MutexLock lock(mutex_);
    counts_.dropped += messages;
  }
  environment_.unreachable(peer_.node);
}

void GrpcLink::Run() {
  const SystemClock clock;
  while (true) {
    const absl::Duration begin = clock.SinceBoot();
    Connection connection;
    {
      MutexLock lock(mutex_);
      if (stopping_) return;
      state_ = State::kConnecting;
      broke_ = false;
      began_ = begin;
      opening_ = true;
      open_ = &connection.context;
    }
    const absl::Status why = RunOnce(connection);
    {
      MutexLock lock(mutex_);
      open_ = nullptr;
    }
    // A connection that stood for a while was a good one. Whoever breaks it at once with every
    // message (a peer that can't read what we send) is left alone for longer and longer.
    if (clock.SinceBoot() - begin > environment_.options.backoff_max) failures_ = 0;
    if (!Pause(why)) return;
  }
}

bool GrpcLink::Pause(const absl::Status& why) {
  const GrpcTransportOptions& options = environment_.options;
  uint64_t lost = 0;
  {
    MutexLock lock(mutex_);
    broke_ = state_ == State::kUp;
    if (broke_) peer_came_ = false;
    state_ = State::kDown;
    lost = queue_.size();
    counts_.dropped += lost;
    queue_.clear();
    counts_.queued_messages = 0;
    counts_.queued_bytes = 0;
    if (stopping_) return false;
  }
  environment_.unreachable(peer_.node);
  if (last_error_ != why.ToString()) {
    last_error_ = why.ToString();
    Log(LogLevel::kWarn, "peer_down",
        {{"peer", peer_.node.value()},
         {"address", peer_.address},
         {"stream", KindName(kind_)},
         {"lost", lost},
         {"reason", last_error_}});
  }
  const int doublings = std::min(failures_++, kBackoffDoublingsMax);
  const absl::Duration full =
      std::min(options.backoff_max, options.backoff_min * static_cast<double>(1 << doublings));
  const SystemClock clock;
  const absl::Duration until = clock.SinceBoot() + full * random_.Unit();
  MutexLock lock(mutex_);
  while (!stopping_) {
    const absl::Duration end = peer_came_ ? std::min(until, began_ + kHurriedAfter) : until;
    const absl::Duration left = end - clock.SinceBoot();
    if (left <= absl::ZeroDuration()) break;
    changed_.WaitFor(mutex_, absl::ToChronoNanoseconds(left));
  }
  peer_came_ = false;
  return !stopping_;
}

absl::Status GrpcLink::RunOnce(Connection& connection) {
  const absl::Status opened = Open(connection);
  {
    MutexLock lock(mutex_);
    opening_ = false;
  }
  HOLDFAST_RETURN_IF_ERROR(opened);
  HOLDFAST_RETURN_IF_ERROR(Greet(connection));
  {
    MutexLock lock(mutex_);
    state_ = State::kUp;
    gave_up_ = false;
    ++counts_.connects;
  }
  last_error_.clear();
  Log(LogLevel::kInfo, "peer_up",
      {{"peer", peer_.node.value()}, {"address", peer_.address}, {"stream", KindName(kind_)}});
  return Pump(connection);
}

absl::Status GrpcLink::EndOf(Connection& connection, const absl::Status& otherwise) {
  // The stream has failed, so that its status is here or on its way.
  Watchdog::Guard guard = environment_.watchdog.Arm(
      environment_.options.hello_timeout, [&connection] { connection.context.TryCancel(); });
  const absl::Status said = FromGrpc(connection.stream->Finish());
  // kCancelled is our own doing.
  if (said.ok() || absl::IsCancelled(said)) return otherwise;
  return said;
}

absl::Status GrpcLink::Open(Connection& connection) {
  const GrpcTransportOptions& options = environment_.options;
  connection.channel = environment_.credentials.Connect(options, peer_.address);
  connection.stub = peer::Peer::NewStub(connection.channel);
  peer::Packet packet;
  *packet.mutable_hello() =
      MakeHello(options, peer_.node, kind_, environment_.handler.Hello(peer_.node));
  Watchdog::Guard guard = environment_.watchdog.Arm(
      options.connect_timeout, [&connection] { connection.context.TryCancel(); });
  connection.stream = connection.stub->Talk(&connection.context);
  const bool sent = connection.stream->Write(packet);
  const bool late = guard.Disarm();
  if (sent && !late) return absl::OkStatus();
  return EndOf(connection, late ? absl::DeadlineExceededError("no connection in time")
                                : absl::UnavailableError("no connection"));
}

absl::Status GrpcLink::Greet(Connection& connection) {
  const GrpcTransportOptions& options = environment_.options;
  peer::Packet packet;
  Watchdog::Guard guard = environment_.watchdog.Arm(
      options.hello_timeout, [&connection] { connection.context.TryCancel(); });
  const bool read = connection.stream->Read(&packet);
  const bool late = guard.Disarm();
  if (!read || late) {
    return EndOf(connection, late ? absl::DeadlineExceededError("no hello in time")
                                  : absl::UnavailableError("closed instead of a hello"));
  }
  absl::Status status = absl::InvalidArgumentError("not a hello");
  if (packet.has_hello()) {
    status = CheckHelloOf(packet.hello(), *connection.context.auth_context(), options, peer_.node)
                 .status();
    if (status.ok()) status = environment_.handler.OnHello(peer_.node, packet.hello().host());
  }
  if (status.ok()) return status;
  const absl::Status refused = Annotate(status, "refused the peer's hello");
  connection.context.TryCancel();
  // Ours is what counts, even if the peer has ended the stream meanwhile.
  (void)EndOf(connection, refused);
  return refused;
}

bool GrpcLink::TakeBatch(std::vector<Waiting>* batch) {
  const GrpcTransportOptions& options = environment_.options;
  MutexLock lock(mutex_);
  if (queue_.empty() && !stopping_) {
    changed_.WaitFor(mutex_, absl::ToChronoNanoseconds(options.idle_check_interval));
  }
  if (stopping_) return false;
  uint64_t bytes = 0;
  while (!queue_.empty() && bytes < options.frame_bytes_max && batch->size() < kFrameMessagesMax) {
    bytes += queue_.front().bytes;
    batch->push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  counts_.queued_messages = queue_.size();
  counts_.queued_bytes -= bytes;
  return true;
}

void GrpcLink::Fill(std::vector<Waiting>* batch, peer::Frame* frame) {
  uint64_t dropped = 0;
  for (Waiting& waiting : *batch) {
    absl::Status status = absl::OkStatus();
    if (!waiting.message.entries.empty()) {
      status = environment_.handler.FillBodies(waiting.group, waiting.message);
    }
    if (status.ok()) {
      status = EncodeMessage(waiting.group, waiting.message, frame->add_messages());
      if (!status.ok()) frame->mutable_messages()->RemoveLast();
    }
    if (status.ok()) continue;
    ++dropped;
    Log(LogLevel::kWarn, "peer_message_dropped",
        {{"peer", peer_.node.value()},
         {"group", waiting.group.value()},
         {"reason", holdfast::Message(status)}});
  }
  batch->clear();
  CountDropped(dropped);
}

absl::Status GrpcLink::Pump(Connection& connection) {
  const GrpcTransportOptions& options = environment_.options;
  const absl::Duration timeout =
      control() ? options.control_write_timeout : options.bulk_write_timeout;
  std::vector<Waiting> batch;
  while (TakeBatch(&batch)) {
    if (batch.empty()) {
      if (connection.channel->GetState(false) == GRPC_CHANNEL_READY) continue;
      connection.context.TryCancel();
      return EndOf(connection, absl::UnavailableError("connection lost"));
    }
    peer::Packet packet;
    packet.mutable_frame()->set_format(kPeerFormat);
    Fill(&batch, packet.mutable_frame());
    const uint64_t messages = packet.frame().messages_size();
    if (messages == 0) continue;
    Watchdog::Guard guard =
        environment_.watchdog.Arm(timeout, [&connection] { connection.context.TryCancel(); });
    const bool written = connection.stream->Write(packet);
    const bool late = guard.Disarm();
    if (!written || late) {
      CountDropped(messages);
      return EndOf(connection, late ? absl::DeadlineExceededError("a frame was not taken in time")
                                    : absl::UnavailableError("connection lost"));
    }
    MutexLock lock(mutex_);
    ++counts_.frames;
    counts_.messages += messages;
  }
  connection.context.TryCancel();
  return EndOf(connection, absl::CancelledError("stopped"));
}

}  // namespace holdfast::raft
