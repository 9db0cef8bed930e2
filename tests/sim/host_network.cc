#include "tests/sim/host_network.h"

#include <iterator>
#include <vector>

namespace holdfast::raft_test {

absl::Duration HostNetwork::UpTo(absl::Duration most) {
  return most * (static_cast<double>(shared_.luck.Below(10'000)) / 10'000.0);
}

void HostNetwork::Send(HostNode& from, NodeId to, GroupId group, raft::Message message) {
  Sent sent{from.id(), from.life(), to, group, std::move(message)};
  shared_.loop.After(UpTo(weather_.queue_max),
                     [this, sent = std::move(sent)]() mutable { Leave(std::move(sent)); });
}

void HostNetwork::Leave(Sent sent) {
  HostNode& from = *nodes_.at(sent.from);
  if (!from.running() || from.life() != sent.from_life) return;
  if (from.paused_until() > shared_.loop.now()) {
    return shared_.loop.At(from.paused_until(),
                           [this, sent = std::move(sent)]() mutable { Leave(std::move(sent)); });
  }
  if (!sent.message.entries.empty()) {
    const absl::Status filled = from.host().FillBodies(sent.group, sent.message);
    if (!filled.ok()) {
      shared_.trace.Note("not filled", {sent.from.value(), sent.group.value()});
      return Lost(sent, /*surely=*/true);
    }
    shared_.checker.OnTransmit(sent.from, sent.group, sent.message);
  }
  if (shared_.luck.Below(1000) < weather_.lose_permille) return Lost(sent, /*surely=*/false);
  const uint64_t copies = shared_.luck.Below(1000) < weather_.repeat_permille ? 2 : 1;
  for (uint64_t copy = 0; copy < copies; ++copy) {
    const bool late = shared_.luck.Below(1000) < weather_.late_permille;
    shared_.loop.After(UpTo(late ? weather_.late_max : weather_.delay_max),
                       [this, sent]() mutable { Arrive(std::move(sent)); });
  }
}

void HostNetwork::Arrive(Sent sent) {
  const auto it = nodes_.find(sent.to);
  if (it == nodes_.end()) return;
  HostNode& to = *it->second;
  if (!to.running() || IsCut(sent.from, sent.to)) return Lost(sent, /*surely=*/false);
  if (to.paused_until() > shared_.loop.now()) {  // It waits in a buffer of the kernel.
    return shared_.loop.At(to.paused_until(),
                           [this, sent = std::move(sent)]() mutable { Arrive(std::move(sent)); });
  }
  ++delivered_;
  shared_.trace.Note(
      "message", {sent.from.value(), sent.to.value(), sent.group.value(),
                  static_cast<uint64_t>(sent.message.type), sent.message.term, sent.message.index,
                  sent.message.entries.size(), sent.message.reject});
  to.host().Receive(sent.group, std::move(sent.message));
}

void HostNetwork::Lost(const Sent& sent, bool surely) {
  HostNode& from = *nodes_.at(sent.from);
  if (!from.running() || from.life() != sent.from_life) return;
  if (surely || shared_.luck.OneIn(3)) from.host().PeerUnreachable(sent.to);
}

bool HostNetwork::IsCut(NodeId from, NodeId to) const {
  return cut_.contains({from, to}) || (apart_ && apart_(from, to));
}

bool HostNetwork::Passes(NodeId from, NodeId to) {
  return nodes_.at(to)->running() && !IsCut(from, to) &&
         shared_.luck.Below(1000) >= weather_.lose_permille / 4;
}

void HostNetwork::Fetch(HostNode& from, NodeId peer, std::string request,
                        std::shared_ptr<raft::FetchSink> sink) {
  const uint64_t number = next_fetch_++;
  fetches_.emplace(number, Fetching{from.id(), peer, std::move(request), std::move(sink), nullptr});
  FetchLater(number, peer, [this](uint64_t fetch) { GivePiece(fetch); });
}

// What does not pass is noticed when nothing came for the time allowed.
void HostNetwork::FetchLater(uint64_t number, NodeId node, std::function<void(uint64_t)> step) {
  shared_.loop.After(UpTo(weather_.delay_max), [this, number, node, step = std::move(step)] {
    const auto it = fetches_.find(number);
    if (it == fetches_.end()) return;
    HostNode& at = *nodes_.at(node);
    const NodeId other = node == it->second.from ? it->second.peer : it->second.from;
    if (!Passes(other, node)) {
      return shared_.loop.After(weather_.fetch_timeout, [this, number] {
        EndFetch(number, absl::UnavailableError("nothing came in time"));
      });
    }
    if (at.paused_until() > shared_.loop.now()) {
      return shared_.loop.At(at.paused_until(), [this, number, step] {
        if (fetches_.contains(number)) step(number);
      });
    }
    step(number);
  });
}

void HostNetwork::GivePiece(uint64_t number) {
  Fetching& fetch = fetches_.at(number);
  HostNode& peer = *nodes_.at(fetch.peer);
  if (!peer.running()) return EndFetch(number, absl::UnavailableError("the peer is down"));
  if (fetch.source == nullptr) {
    auto source = peer.host().OpenFetch(fetch.from, fetch.request);
    if (!source.ok()) return EndFetch(number, source.status());
    fetch.source = *std::move(source);
  }
  absl::StatusOr<std::string> piece = fetch.source->Next();
  if (!piece.ok()) return EndFetch(number, piece.status());
  FetchLater(number, fetch.from,
             [this, piece = *std::move(piece)](uint64_t same) { TakePiece(same, piece); });
}

void HostNetwork::TakePiece(uint64_t number, std::string piece) {
  Fetching& fetch = fetches_.at(number);
  HostNode& from = *nodes_.at(fetch.from);
  shared_.trace.Note("piece", {fetch.peer.value(), fetch.from.value(), number, piece.size()});
  if (piece.empty()) return EndFetch(number, absl::OkStatus());
  const NodeId peer = fetch.peer;
  const std::shared_ptr<raft::FetchSink> sink = fetch.sink;
  const absl::Status taken = sink->OnPiece(std::move(piece));
  if (from.dying()) return from.AfterCall();
  if (!taken.ok()) return EndFetch(number, taken);
  FetchLater(number, peer, [this](uint64_t same) { GivePiece(same); });
  from.AfterCall();
}

void HostNetwork::EndFetch(uint64_t number, const absl::Status& status) {
  auto ended = fetches_.extract(number);
  if (ended.empty()) return;
  Fetching& fetch = ended.mapped();
  HostNode& from = *nodes_.at(fetch.from);
  fetch.source.reset();
  shared_.trace.Note("fetched", {fetch.peer.value(), fetch.from.value(), number,
                                 static_cast<uint64_t>(status.code())});
  fetch.sink->OnDone(status);
  fetch.sink.reset();
  from.AfterCall();
}

// What does not pass is like a connection that is there and mute: the question may have been heard.
void HostNetwork::Call(HostNode& from, NodeId to, std::string request, absl::Duration timeout,
                       raft::CallReply done) {
  const bool known = nodes_.contains(to);
  if (!known || to == from.id() || (!nodes_.at(to)->running() && shared_.luck.OneIn(2))) {
    return done(absl::UnavailableError("no connection"));
  }
  const uint64_t number = next_call_++;
  calls_.emplace(number, Calling{from.id(), to, std::move(done)});
  shared_.loop.After(timeout, [this, number] {
    EndCall(number, absl::DeadlineExceededError("no answer in time"));
  });
  shared_.loop.After(UpTo(weather_.queue_max) + UpTo(weather_.delay_max),
                     [this, number, from = from.id(), to, request = std::move(request)]() mutable {
                       DeliverCall(number, from, to, std::move(request));
                     });
}

// It may still arrive when the one who asked is gone.
void HostNetwork::DeliverCall(uint64_t number, NodeId from, NodeId to, std::string request) {
  if (!Passes(from, to)) return;
  HostNode& node = *nodes_.at(to);
  if (node.paused_until() > shared_.loop.now()) {
    return shared_.loop.At(node.paused_until(),
                           [this, number, from, to, request = std::move(request)]() mutable {
                             DeliverCall(number, from, to, std::move(request));
                           });
  }
  shared_.trace.Note("call", {from.value(), to.value(), number, request.size()});
  // Answers come from anywhere within the node, and leave it later.
  auto reply = [this, number, to, life = node.life()](absl::StatusOr<std::string> answer) {
    shared_.loop.After(UpTo(weather_.delay_max),
                       [this, number, to, life, answer = std::move(answer)]() mutable {
                         const auto it = calls_.find(number);
                         if (it == calls_.end() || nodes_.at(to)->life() != life) return;
                         if (!Passes(to, it->second.from)) return;
                         EndCall(number, std::move(answer));
                       });
  };
  node.inside().OnCall(from, std::move(request), std::move(reply));
  node.AfterCall();
}

void HostNetwork::EndCall(uint64_t number, absl::StatusOr<std::string> answer) {
  const auto it = calls_.find(number);
  if (it == calls_.end()) return;
  HostNode& from = *nodes_.at(it->second.from);
  if (from.paused_until() > shared_.loop.now()) {
    return shared_.loop.At(from.paused_until(),
                           [this, number, answer = std::move(answer)]() mutable {
                             EndCall(number, std::move(answer));
                           });
  }
  const raft::CallReply done = std::move(it->second.done);
  calls_.erase(it);
  shared_.trace.Note("answer",
                     {from.id().value(), number, static_cast<uint64_t>(answer.status().code())});
  done(std::move(answer));
  from.AfterCall();
}

void HostNetwork::Forget(NodeId node) {
  // Destroyed when the map is whole again: what dies with them may call.
  std::vector<raft::CallReply> dropped;
  for (auto it = calls_.begin(); it != calls_.end();) {
    if (it->second.from != node) {
      if (it->second.to == node) {
        shared_.loop.After(UpTo(weather_.late_max), [this, number = it->first] {
          EndCall(number, absl::DeadlineExceededError("the connection broke"));
        });
      }
      ++it;
      continue;
    }
    dropped.push_back(std::move(it->second.done));
    it = calls_.erase(it);
  }
  dropped.clear();
  for (auto it = fetches_.begin(); it != fetches_.end();) {
    Fetching& fetch = it->second;
    if (fetch.from == node) {
      it = fetches_.erase(it);
      continue;
    }
    if (fetch.peer == node) {
      fetch.source.reset();
      shared_.loop.After(UpTo(weather_.late_max), [this, number = it->first] {
        EndFetch(number, absl::UnavailableError("the connection broke"));
      });
    }
    ++it;
  }
}

NodeId HostNetwork::AnyNode() {
  auto it = nodes_.begin();
  std::advance(it, static_cast<std::ptrdiff_t>(shared_.luck.Below(nodes_.size())));
  return it->first;
}

void HostNetwork::CutOff(NodeId alone) {
  for (const auto& [other, node] : nodes_) {
    if (other == alone) continue;
    Cut(alone, other);
    Cut(other, alone);
  }
}

// Two halves that hear each other only through one node, which neither can use as a relay.
void HostNetwork::CutBridge(NodeId bridge) {
  for (const auto& [a, first] : nodes_) {
    for (const auto& [b, second] : nodes_) {
      const bool apart = a.value() % 2 != b.value() % 2;
      if (apart && a != bridge && b != bridge) Cut(a, b);
    }
  }
}

void HostNetwork::CutOrMend() {
  if (!cut_.empty() && shared_.luck.OneIn(2)) {
    shared_.trace.Note("mends", {});
    return Mend();
  }
  const uint64_t kind = shared_.luck.Below(4);
  const NodeId a = AnyNode();
  shared_.trace.Note("cuts", {kind, a.value()});
  if (kind == 0) return CutOff(a);
  if (kind == 1) return CutBridge(a);
  const NodeId b = AnyNode();
  if (a == b) return;
  Cut(a, b);
  if (kind == 2) Cut(b, a);
}

}  // namespace holdfast::raft_test
