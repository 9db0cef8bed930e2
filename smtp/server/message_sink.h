// smtp/server/message_sink.h
// Where sessions put messages. The relay implements it with its queue; tests with a list.
//
// Life of a submission: Begin() before the client may send content; Write() as it arrives, in
// order, one at a time; then either Commit(), after which the message is ours to deliver or it is
// not, or destruction, which abandons it: nothing of it may ever be delivered.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstddef>
#include <memory>
#include <string>

#include "smtp/server/envelope.h"
#include "smtp/stream/asio.h"

namespace holdfast::smtp {

// One message on its way in.
// Threads:  called on the session's io context; a coroutine must resume there.
// Lifetime: owned by the session. May be destroyed while Write() or Commit() is suspended, if the
//           whole io context is being torn down; otherwise only between calls.
class Submission {
 public:
  virtual ~Submission() = default;

  // Stands in Received, in the 250 and in every log line. Fixed at Begin().
  virtual const std::string& queue_id() const = 0;

  // The first Write() begins with this many bytes of our own Received field; told once, before it,
  // for whoever needs the content as the client sent it.
  virtual void SetTraceHeaderBytes(size_t bytes) { (void)bytes; }

  // The next piece of the message: the whole of it up to 1 MiB, else pieces of 512 KiB (the first
  // up to 1 MiB). Returns when more may come; a wait here stops reading from the client. An error
  // ends the submission: the session destroys it, reads on to the end, and answers by the table in
  // smtp/protocol/reply.h.
  virtual asio::awaitable<absl::Status> Write(std::shared_ptr<const std::string> chunk) = 0;

  // The content is complete. OK, with the queue id under which it is known, only if the message
  // survives from now on by itself; kAlreadyExists if it is a repeat of one that does. Must end
  // within the sink's own bound: kDeadlineExceeded when the outcome is unknown by then.
  virtual asio::awaitable<absl::StatusOr<std::string>> Commit(FinalFacts facts) = 0;
};

// Threads:  thread-safe; sessions on several io threads call it.
// Lifetime: outlives every session.
class MessageSink {
 public:
  virtual ~MessageSink() = default;

  // Quick and local: allots a queue id and reserves what the node needs. A refusal is answered
  // before any content is read: kResourceExhausted 452, others 451.
  virtual absl::StatusOr<std::unique_ptr<Submission>> Begin(
      std::shared_ptr<const Envelope> envelope) = 0;

  // The client went on (its next command, or QUIT) after the 250 for this id had been written, so
  // it very likely saw it and won't offer the message again.
  virtual void Confirmed(const std::string& queue_id) { (void)queue_id; }

  // Instead, when the session ended before that: the client may offer the message again.
  virtual void Unconfirmed(const std::string& queue_id) { (void)queue_id; }
};

}  // namespace holdfast::smtp
