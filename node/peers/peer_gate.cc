#include "node/peers/peer_gate.h"

#include <utility>

namespace holdfast::node {
namespace {

// Told by a peer, so it may be anything.
std::string IncarnationText(std::string_view incarnation) {
  if (incarnation.empty()) return "0 (the first)";
  return incarnation.size() == 32 &&
                 incarnation.find_first_not_of("0123456789abcdef") == std::string_view::npos
             ? std::string(incarnation.substr(0, 8))
             : "(unreadable)";
}

std::string Milliseconds(uint64_t microseconds) { return format("{} ms", microseconds / 1000); }

}  // namespace

void PeerGate::Serve(peer_call::Request::KindCase kind, CallServer server) {
  auto shared = std::make_shared<const CallServer>(std::move(server));
  MutexLock lock(mutex_);
  servers_[kind] = std::move(shared);
}

void PeerGate::SetLife(bool begun, std::string incarnation) {
  MutexLock lock(mutex_);
  begun_ = begun;
  incarnation_ = std::move(incarnation);
}

void PeerGate::SetRemoved(std::set<NodeId> removed) {
  MutexLock lock(mutex_);
  removed_ = std::move(removed);
}

void PeerGate::Open(raft::GroupHost& host) {
  std::set<NodeId> greeted;
  {
    MutexLock lock(mutex_);
    host_.store(&host, std::memory_order_release);
    greeted.swap(greeted_);
  }
  for (const NodeId peer : greeted) (void)Greet(host, peer, told_.Of(peer));
}

std::string PeerGate::Hello(NodeId peer) {
  peer_call::Hello hello;
  hello.set_tick_us(static_cast<uint64_t>(absl::ToInt64Microseconds(timing_.tick)));
  hello.set_heartbeat_us(static_cast<uint64_t>(absl::ToInt64Microseconds(timing_.heartbeat)));
  hello.set_election_min_us(static_cast<uint64_t>(absl::ToInt64Microseconds(timing_.election_min)));
  hello.set_wall_time_us(absl::ToUnixMicros(clock_.Now()));
  hello.set_feature_level_min(level_.build().min);
  hello.set_feature_level_max(level_.build().max);
  if (raft::GroupHost* const host = host_.load(std::memory_order_acquire)) {
    for (const raft::Acknowledgement& given : host->AcknowledgedBy(peer)) {
      if (hello.acknowledged_size() == kGroupsPerHelloMax) break;
      peer_call::Acknowledged& one = *hello.add_acknowledged();
      one.set_group(given.group.value());
      one.set_term(given.term);
      one.set_index(given.index);
    }
  }
  MutexLock lock(mutex_);
  hello.set_begun(begun_);
  hello.set_incarnation(incarnation_);
  return EncodeHello(std::move(hello));
}

absl::Status PeerGate::OnHello(NodeId peer, std::string_view bytes) {
  absl::StatusOr<peer_call::Hello> said = DecodeHello(bytes);
  HOLDFAST_RETURN_IF_ERROR(said.status());
  HOLDFAST_RETURN_IF_ERROR(CheckHello(peer, *said));
  NoteSpeaks(peer, {said->feature_level_min(), said->feature_level_max()});
  Promises promised;
  for (const peer_call::Acknowledged& one : said->acknowledged()) {
    promised.push_back({GroupId(one.group()), one.term(), one.index()});
  }
  return TakePromises(peer, promised);
}

// Only of accepted connections: a copy of the peer that is refused must not silence the peer.
void PeerGate::NoteSpeaks(NodeId peer, LevelRange speaks) {
  MutexLock lock(mutex_);
  if (speaks_.size() >= kKnownNodesMax && !speaks_.contains(peer)) return;
  speaks_[peer] = speaks;
}

absl::Status PeerGate::CheckSpeaks(NodeId peer) {
  LevelRange speaks;
  {
    MutexLock lock(mutex_);
    const auto found = speaks_.find(peer);
    if (found == speaks_.end()) return absl::OkStatus();  // It has not said so: nobody refused it.
    speaks = found->second;
  }
  return level_.CheckPeer(peer, speaks);
}

absl::Status PeerGate::TakePromises(NodeId peer, const Promises& promised) {
  raft::GroupHost* host = nullptr;
  {
    MutexLock lock(mutex_);
    host = host_.load(std::memory_order_acquire);
    if (host == nullptr) {
      greeted_.insert(peer);
      for (const raft::Acknowledgement& one : promised) {
        if (told_.Of(peer).size() == kGroupsPerHelloMax) break;  // More than a peer of ours has.
        told_.Note(one.group, peer, one.term, one.index);
      }
      return absl::OkStatus();
    }
  }
  return Greet(*host, peer, promised);
}

absl::Status PeerGate::Greet(raft::GroupHost& host, NodeId peer, const Promises& promised) {
  absl::Status kept = host.Greeted(peer, promised);
  if (kept.code() == absl::StatusCode::kDataLoss && on_amnesia_) on_amnesia_(kept);
  return kept;
}

absl::Status PeerGate::CheckHello(NodeId peer, const peer_call::Hello& hello) {
  const peer_call::Hello* const said = &hello;
  {
    MutexLock lock(mutex_);
    if (removed_.contains(peer)) {
      return MakeStatus(absl::StatusCode::kFailedPrecondition,
                        "node {} was removed from this cluster: stop it; it may join again under a "
                        "new id with an empty directory",
                        peer.value());
    }
  }
  absl::StatusOr<peer_call::Hello> own = DecodeHello(Hello(peer));
  HOLDFAST_RETURN_IF_ERROR(own.status());
  const auto refuse = [](absl::StatusCode code, std::string text) {
    return absl::Status(code, text);
  };
  if (said->tick_us() != own->tick_us() || said->heartbeat_us() != own->heartbeat_us() ||
      said->election_min_us() != own->election_min_us()) {
    return refuse(
        absl::StatusCode::kFailedPrecondition,
        format("node {} has other timers (tick {}, heartbeat {}, election_min {}) than this one "
               "({}, {}, {}): give all nodes of a cluster the same `timing`",
               peer.value(), Milliseconds(said->tick_us()), Milliseconds(said->heartbeat_us()),
               Milliseconds(said->election_min_us()), Milliseconds(own->tick_us()),
               Milliseconds(own->heartbeat_us()), Milliseconds(own->election_min_us())));
  }
  // Who has not begun yet is told the incarnation when it may.
  if (said->begun() && own->begun() && said->incarnation() != own->incarnation()) {
    return refuse(
        absl::StatusCode::kFailedPrecondition,
        format(
            "node {} belongs to incarnation {} of this cluster, this node to {}: one of them was "
            "recovered after the loss of a majority. What the other one has must not come back: "
            "stop it, empty its data directory, and let it join under a new id",
            peer.value(), IncarnationText(said->incarnation()),
            IncarnationText(own->incarnation())));
  }
  const absl::Duration apart = absl::AbsDuration(absl::FromUnixMicros(said->wall_time_us()) -
                                                 absl::FromUnixMicros(own->wall_time_us()));
  if (apart > kClockDifferenceMax) {
    return refuse(absl::StatusCode::kFailedPrecondition,
                  format("the clocks of node {} and of this node are {} apart, more than {}: let "
                         "NTP set them",
                         peer.value(), absl::FormatDuration(apart),
                         absl::FormatDuration(kClockDifferenceMax)));
  }
  return level_.CheckPeer(peer, {said->feature_level_min(), said->feature_level_max()});
}

void PeerGate::OnMessage(NodeId from, GroupId group, raft::Message message) {
  std::vector<raft::GroupMessage> one;
  one.push_back({group, std::move(message)});
  OnMessages(from, std::move(one));
}

void PeerGate::OnMessages(NodeId from, std::vector<raft::GroupMessage> messages) {
  raft::GroupHost* const host = host_.load(std::memory_order_acquire);
  if (host == nullptr || !CheckSpeaks(from).ok()) return;
  std::erase_if(messages, [from](const raft::GroupMessage& one) {
    const raft::Message& message = one.message;
    // Proposals come by calls, which check them; here they would pass every bound.
    if (message.type == raft::MessageType::kPropose) return true;
    // A follower passes the request for a transfer on, in the name of who made it.
    return message.from != from && message.type != raft::MessageType::kTransferLeader;
  });
  if (!messages.empty()) host->ReceiveAll(std::move(messages));
}

void PeerGate::OnUnreachable(NodeId peer) {
  raft::GroupHost* const host = host_.load(std::memory_order_acquire);
  if (host != nullptr) host->PeerUnreachable(peer);
  if (listener() != nullptr) listener()->OnUnreachable(peer);
}

absl::Status PeerGate::FillBodies(GroupId group, raft::Message& message) {
  raft::GroupHost* const host = host_.load(std::memory_order_acquire);
  if (host == nullptr) return absl::UnavailableError("the node is starting");
  return host->FillBodies(group, message);
}

absl::StatusOr<std::unique_ptr<raft::FetchSource>> PeerGate::OpenFetch(NodeId peer,
                                                                       std::string_view request) {
  raft::GroupHost* const host = host_.load(std::memory_order_acquire);
  if (host == nullptr) return absl::UnavailableError("the node is starting");
  HOLDFAST_RETURN_IF_ERROR(CheckSpeaks(peer));
  return host->OpenFetch(peer, request);
}

void PeerGate::OnCall(NodeId peer, std::string request, raft::CallReply reply) {
  if (absl::Status speaks = CheckSpeaks(peer); !speaks.ok()) return reply(speaks);
  absl::StatusOr<peer_call::Request> decoded = DecodeRequest(request);
  if (!decoded.ok()) {
    reply(decoded.status());
    return;
  }
  std::shared_ptr<const CallServer> server;
  {
    MutexLock lock(mutex_);
    const auto found = servers_.find(decoded->kind_case());
    if (found != servers_.end()) server = found->second;
  }
  if (server == nullptr) {
    reply(absl::UnavailableError("the node is starting"));
    return;
  }
  (*server)(peer, *std::move(decoded),
            [reply = std::move(reply)](absl::StatusOr<peer_call::Answer> answer) {
              if (!answer.ok()) {
                reply(answer.status());
              } else {
                reply(EncodeAnswer(*std::move(answer)));
              }
            });
}

}  // namespace holdfast::node
