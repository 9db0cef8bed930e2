// smtp/stream/memory_stream.h
// A Stream without a socket, for tests and the simulation. MemoryPeer is the other end: it feeds
// bytes, sees what was written, and can cut, stall, or pretend TLS.
//
//   MemoryPeer peer;
//   Stream stream(peer.MakeTransport(io.get_executor()));
//   peer.Feed("220 ready\r\n");  ...  EXPECT_EQ(peer.TakeWritten(), "EHLO me\r\n");
//
// Threads:  owned by the io context; Feed() and the rest are called there (or before it runs).
// Lifetime: the peer and the transport share their state; either may go first.
// Limits:   none but memory; not for production.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "smtp/stream/transport.h"

namespace holdfast::smtp {

class MemoryPeer {
 public:
  MemoryPeer();
  ~MemoryPeer();

  std::unique_ptr<Transport> MakeTransport(asio::any_io_executor executor);

  // Bytes for the stream to read. They arrive in pieces of at most SetChunk() bytes.
  void Feed(std::string_view bytes);
  // No more bytes: reads end with kAborted once the fed ones are gone.
  void FeedEnd();
  void SetChunk(size_t bytes_max);  // 1 cuts at every byte. Default: no cut.

  // What was written since the last call.
  std::string TakeWritten();
  // Called after each write, on the io context; it may Feed().
  void OnWrite(std::function<void(std::string_view)> callback);
  // Writes fail with kAborted from now on.
  void RefuseWrites();
  // Bytes that count as not yet sent; 0 by default.
  void SetUnsent(size_t bytes);

  // Handshakes succeed at once without any bytes, or fail with `error`.
  void FailHandshake(std::string error);
  bool handshake_done() const;
  bool send_ended() const;  // ShutdownSend() or Close() was called.
  void SetPeerEndpoint(const Endpoint& endpoint);

  struct State;

 private:
  std::shared_ptr<State> state_;
};

}  // namespace holdfast::smtp
