// raft/transport/grpc_transport.h
// GrpcTransport carries Raft messages, fetches and calls between nodes by gRPC with mutual TLS. To
// each peer it opens two streams, over connections of their own, and sends on both; what the peer
// sends comes on the peer's streams. *Control* has the messages without entries and snapshots,
// *bulk* the others, so that a 25 MB mail on its way can't look like a dead leader. Each fetch has
// a connection of its own, and all calls of a peer share another.
//
//   absl::StatusOr<std::unique_ptr<GrpcTransport>> t = GrpcTransport::Start(options, handler);
//   (*t)->UpdatePeers({{NodeId(2), "10.0.0.2:7000"}, {NodeId(3), "10.0.0.3:7000"}});
//   (*t)->Send(NodeId(2), group, message);
//   (*t)->Stop();
//
// Messages of all groups that wait for a peer share a frame, and one frame at a time is being
// written: a peer that doesn't read stops its stream alone, whose queue then overflows. A stream
// that breaks, can't be opened or is refused is opened again after a pause that doubles up to
// `backoff_max`, of which a random part is waited (full jitter); until then its messages are
// dropped. One that could not be opened is tried without delay when the peer comes by a stream of
// its own: a node that is back must not miss its leaders' heartbeats for seconds.
//
// Who a peer is says its certificate (peer_identity.h), and its hello must agree. Certificates are
// read again when their files change. Plain text, where hellos alone are believed, is for tests and
// for nodes of one machine: it is refused unless asked for, and unless all addresses are loopback.
//
// Threads:  thread-safe. It has two sending threads for each peer, one for each incoming stream and
//   fetch, a few for its own fetches, for deadlines and for notices. It uses gRPC's blocking calls:
//   a cluster is a handful of nodes, and a thread that blocks in Write() is back-pressure in its
//   plainest form. The callback API would save these threads and pay with reactors whose lifetimes
//   span three locks. Blocking calls have no deadlines of their own for one read or write: the
//   Watchdog cancels a stream whose step takes too long. Calls, of which a thousand may wait, are
//   the exception: they use the callback API, and hold no thread on either side.
// Lifetime: the handler outlives it. Sinks of fetches are released when they are done.
// Limits:   everything is bounded by GrpcTransportOptions. A message over a bound is dropped, and
//   counted in PeerCounts.
// Errors:   logged, one line when the cause changes: peer_up, peer_down (outgoing), peer_accepted,
//   peer_refused, peer_closed (incoming).
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/strong_id.h"
#include "raft/core/raft_types.h"
#include "raft/transport/peer_identity.h"
#include "raft/transport/transport.h"

namespace holdfast::raft {

struct PeerAddress {
  NodeId node;
  std::string address;  // host:port, 192.0.2.1:port or [2001:db8::1]:port

  bool operator==(const PeerAddress&) const = default;
};

// PEM files. The certificate names this node (peer_identity.h) and may be followed by its chain.
struct PeerTlsFiles {
  std::string certificate_file;
  std::string key_file;
  std::string authority_file;  // Signed the certificates of all nodes.
};

// The node that a certificate names. kInvalidArgument: can't be read; kPermissionDenied: names
// none.
absl::StatusOr<PeerIdentity> IdentityOfCertificateFile(const std::string& file);

struct GrpcTransportOptions {
  NodeId self;
  std::string cluster_id;  // See IsClusterId().

  // host:port to take connections on; port 0: the kernel chooses.
  std::string listen;
  std::vector<PeerAddress> peers;  // All but this node; UpdatePeers() replaces them.

  PeerTlsFiles tls;
  // Without TLS, on loopback addresses only; `tls` must then be empty.
  bool plain_text_on_loopback = false;
  // How often the files are looked at for a change; whole seconds.
  absl::Duration tls_refresh_interval = absl::Seconds(60);

  // A frame is closed when it has this much; the message that passes it still goes in.
  uint64_t frame_bytes_max = uint64_t{1} << 20;
  // One message with its bodies. An entry of 8 MiB with its command must fit.
  uint64_t message_bytes_max = uint64_t{16} << 20;

  // What may wait for one peer; more is dropped. Bodies count even if not yet filled in.
  uint64_t control_queue_messages_max = 16'384;
  uint64_t control_queue_bytes_max = uint64_t{8} << 20;
  uint64_t bulk_queue_messages_max = 4096;
  uint64_t bulk_queue_bytes_max = uint64_t{64} << 20;

  absl::Duration connect_timeout = absl::Seconds(5);  // TCP and TLS.
  absl::Duration hello_timeout = absl::Seconds(5);    // Each side's wait for the other's.
  // One frame not taken for this long breaks the stream. Longer than the handler ever takes.
  absl::Duration control_write_timeout = absl::Seconds(10);
  absl::Duration bulk_write_timeout = absl::Seconds(60);
  // An idle stream looks this often whether its connection still stands.
  absl::Duration idle_check_interval = absl::Milliseconds(500);
  absl::Duration keepalive_interval = absl::Seconds(5);
  absl::Duration keepalive_timeout = absl::Seconds(5);
  absl::Duration backoff_min = absl::Milliseconds(100);
  absl::Duration backoff_max = absl::Seconds(5);

  // Fetches of this node that run and that wait; more end with kResourceExhausted.
  uint32_t fetches_max = 4;
  uint32_t fetches_waiting_max = 64;
  // Fetches that one peer may have running here; more get kResourceExhausted.
  uint32_t fetches_served_per_peer_max = 8;
  uint64_t fetch_request_bytes_max = uint64_t{1} << 20;
  // No piece for so long ends our fetch; a piece not taken for so long ends the peer's.
  absl::Duration fetch_piece_timeout = absl::Seconds(30);
  absl::Duration fetch_write_timeout = absl::Seconds(120);

  // A request, and an answer. Each is in memory twice while it is sent.
  uint64_t call_bytes_max = uint64_t{16} << 20;
  // Calls to one peer that are not answered yet, and the bytes of their requests; more end with
  // kResourceExhausted.
  uint32_t calls_per_peer_max = 1024;
  uint64_t call_bytes_in_flight_max = uint64_t{64} << 20;
  // Calls of one peer that the handler has not answered yet, and the bytes of their requests; more
  // get kResourceExhausted. A peer may have two connections' worth for a moment.
  uint32_t calls_served_per_peer_max = 1024;
  uint64_t call_bytes_served_per_peer_max = uint64_t{128} << 20;

  // Incoming streams and fetches of all peers, each of which holds a thread.
  uint32_t server_threads_max = 256;

  // Seed of the jitter; 0 takes one from the kernel.
  uint64_t seed = 0;
};

// Counts since Start(), of one outgoing stream.
struct StreamCounts {
  bool connected = false;
  uint64_t connects = 0;  // Accepted hellos.
  uint64_t frames = 0;    // Written.
  uint64_t messages = 0;
  uint64_t dropped = 0;  // Queue full, no connection, over a bound, no bodies, or lost in a break.
  uint64_t queued_messages = 0;
  uint64_t queued_bytes = 0;
};

struct PeerCounts {
  NodeId peer;
  StreamCounts control;
  StreamCounts bulk;
};

class GrpcTransport final : public Transport {
 public:
  // Listens and begins to connect. kInvalidArgument: options that contradict each other, plain text
  // off loopback, unusable TLS files. kUnavailable: the address can't be listened on.
  static absl::StatusOr<std::unique_ptr<GrpcTransport>> Start(const GrpcTransportOptions& options,
                                                              PeerHandler& handler);
  ~GrpcTransport() override;  // Stop().

  // Messages to a node that is no peer are dropped and count nowhere.
  void Send(NodeId to, GroupId group, Message message) override;
  void SendAll(NodeId to, std::vector<GroupMessage> messages) override;
  // OnDone says: kNotFound: no such peer. kResourceExhausted: too many fetches. kCancelled:
  // stopped. kDeadlineExceeded: no piece in time. Any other: what the peer or the sink said.
  void Fetch(NodeId peer, std::string request, std::shared_ptr<FetchSink> sink) override;

  // Waits at most connect_timeout and hello_timeout for a connection. kUnavailable also says that a
  // side refused the other's hello.
  void Call(NodeId to, std::string request, absl::Duration timeout, CallReply done) override;

  // Replaces the address book: connections to nodes that left it or moved are broken, and their
  // calls end with kCancelled; others stay.
  // Doesn't wait. kInvalidArgument, and nothing changed: an address that Start() would refuse.
  absl::Status UpdatePeers(const std::vector<PeerAddress>& peers);

  // Breaks all streams, ends all fetches and calls, and returns when no callback runs any more.
  // Idempotent; from one thread, which isn't one of the transport's.
  void Stop();

  uint16_t bound_port() const;
  std::vector<PeerCounts> Counts() const;

 private:
  class Impl;
  explicit GrpcTransport(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace holdfast::raft
