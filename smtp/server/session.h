// smtp/server/session.h
// Session carries one client connection from greeting to close. It moves bytes and keeps
// deadlines; SessionCore makes every decision.
// Promises: a 250 to the end of a message only after Submission::Commit() said OK.
// Threads:  lives and dies on the io context of its stream; Stop() and Abort() are called there.
// Lifetime: the coroutine of Run() must end before it is destroyed. Everything in SessionServices
//           outlives it.
// Limits:   one read buffer of 64 KiB beside what SessionCore holds; a client that doesn't read
//           its replies isn't read from either.
#pragma once

#include <absl/status/status.h>

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "smtp/server/envelope.h"
#include "smtp/server/message_sink.h"
#include "smtp/server/relay_policy.h"
#include "smtp/server/session_core.h"
#include "smtp/server/session_limits.h"
#include "smtp/server/session_observer.h"
#include "smtp/stream/asio.h"
#include "smtp/stream/stream.h"
#include "smtp/stream/tls_context.h"

namespace holdfast::smtp {

// What sessions work with. All outlive every session and are thread-safe.
struct SessionServices {
  MessageSink* sink = nullptr;
  AdmissionPolicy* policy = nullptr;
  SessionObserver* observer = nullptr;
  const Clock* clock = nullptr;
};

// What a session's stream should be made with.
StreamOptions SessionStreamOptions();

class Session {
 public:
  // `tls` may be null: then there is none.
  Session(std::unique_ptr<Stream> stream, const SessionServices& services,
          const SessionOptions& options, ClientFacts client, std::shared_ptr<const TlsContext> tls);
  ~Session();

  // Runs to the end and closes the stream. Call once. OK: QUIT, or the server ended it.
  // kDeadlineExceeded: the client was silent or the session too old, and got 421. kAborted: the
  // client vanished. kCancelled: Abort(), or Stop() while it was idle.
  asio::awaitable<absl::Status> Run();

  // An open transaction goes on to its answer; then, or at once without one, 421 and the end.
  void Stop();
  // Cuts the connection now. A commit in progress is still waited for, unheard.
  void Abort();

 private:
  asio::awaitable<absl::Status> Converse();
  asio::awaitable<absl::Status> Flush();
  asio::awaitable<absl::Status> ReadMore();
  void Begin();
  asio::awaitable<absl::Status> WriteChunk();
  asio::awaitable<absl::Status> Commit();
  asio::awaitable<absl::Status> Handshake();
  absl::Duration ReadTimeout();

  std::unique_ptr<Stream> stream_;
  const SessionServices services_;
  const SessionOptions options_;
  const std::shared_ptr<const TlsContext> tls_;
  SessionCore core_;
  std::unique_ptr<Submission> submission_;
  std::vector<std::string> unconfirmed_;  // Answered 250; the client hasn't gone on yet.
  absl::Duration session_end_;            // On Clock::SinceBoot().
  absl::Duration content_end_ = absl::InfiniteDuration();
  absl::Status end_;  // Why the conversation ended, where the core doesn't know.
};

}  // namespace holdfast::smtp
