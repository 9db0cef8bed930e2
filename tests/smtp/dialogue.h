// tests/smtp/dialogue.h
// Dialogues are SMTP conversations as text, readable by any postmaster and replayed byte for byte:
//
//   # prose                       @tls | @trusted | @limit NAME N   set up, anywhere in the file
//   C: a line of the client       @sink ok|unavailable|unknown|full|repeat|broken-write
//   C- bytes without CRLF\r       @policy ok|no-quorum|disk-full
//   C* 100 a line, repeated       @envelope     what was handed over last, as E: lines
//   S: a line of the server       @handshake    TLS now     @eof  the client ends its direction
//   @closed  the server closed    @stop  the server stops   @timeout  the client is silent
//   @only core  not over a stream
//
// C lines up to the next S or @ are sent at once. \r \n \0 \\ and \xHH are bytes. Replaying builds
// the file anew from what happened; a test compares the two.
#pragma once

#include <absl/status/status.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "smtp/server/message_sink.h"
#include "smtp/server/relay_policy.h"
#include "smtp/server/relay_rules.h"
#include "smtp/server/session_limits.h"
#include "smtp/server/session_observer.h"
#include "smtp/stream/tls_context.h"

namespace holdfast::smtp {

struct DialogueLine {
  enum class Kind { kProse, kClient, kServer, kEnvelope, kDirective };
  Kind kind = Kind::kProse;
  std::string text;                // As it stands in the file.
  std::string bytes;               // kClient: what is sent.
  std::vector<std::string> words;  // kDirective.
};

std::vector<DialogueLine> ParseDialogue(std::string_view text);

// A message that was committed.
struct SunkMessage {
  std::shared_ptr<const Envelope> envelope;
  FinalFacts facts;
  std::string content;
  std::vector<size_t> chunks;
};

// Keeps what it is given and answers as told. Thread-safe.
class ScriptedSink final : public MessageSink {
 public:
  class Message;  // A submission, usable with and without coroutines.

  absl::StatusOr<std::unique_ptr<Submission>> Begin(
      std::shared_ptr<const Envelope> envelope) override;
  absl::StatusOr<std::unique_ptr<Message>> BeginNow(std::shared_ptr<const Envelope> envelope);
  void Confirmed(const std::string& queue_id) override;
  void Unconfirmed(const std::string& queue_id) override;

  void SetMode(std::string mode);
  std::optional<SunkMessage> last() const;
  size_t committed() const;
  size_t abandoned() const;
  std::vector<std::string> confirmed() const;
  std::vector<std::string> unconfirmed() const;

 private:
  friend class Message;
  mutable Mutex mutex_;
  std::string mode_ ABSL_GUARDED_BY(mutex_) = "ok";
  std::vector<SunkMessage> messages_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> confirmed_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> unconfirmed_ ABSL_GUARDED_BY(mutex_);
  size_t begun_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t abandoned_ ABSL_GUARDED_BY(mutex_) = 0;
};

class ScriptedSink::Message final : public Submission {
 public:
  Message(ScriptedSink& sink, std::shared_ptr<const Envelope> envelope, std::string queue_id)
      : sink_(sink), queue_id_(std::move(queue_id)) {
    message_.envelope = std::move(envelope);
  }
  ~Message() override;

  const std::string& queue_id() const override { return queue_id_; }
  asio::awaitable<absl::Status> Write(std::shared_ptr<const std::string> chunk) override;
  asio::awaitable<absl::StatusOr<std::string>> Commit(FinalFacts facts) override;
  absl::Status WriteNow(const std::string& chunk);
  absl::StatusOr<std::string> CommitNow(const FinalFacts& facts);

 private:
  ScriptedSink& sink_;
  const std::string queue_id_;
  SunkMessage message_;
  bool committed_ = false;
};

// RelayRules of a backup MX, with the state of a node in front. Thread-safe.
class ScriptedPolicy final : public AdmissionPolicy {
 public:
  explicit ScriptedPolicy(bool trust_loopback);
  MailDecision OnMail(const ClientFacts& client, const MailCommand& command) override;
  RcptDecision OnRcpt(const ClientFacts& client, const MailCommand& mail,
                      const RcptCommand& command) override;
  void SetMode(std::string mode);

 private:
  RelayRules rules_;
  Mutex mutex_;
  std::string mode_ ABSL_GUARDED_BY(mutex_) = "ok";
};

// What one replay works with.
struct DialogueWorld {
  explicit DialogueWorld(const std::vector<DialogueLine>& lines);

  ManualClock clock;
  ScriptedSink sink;
  std::unique_ptr<ScriptedPolicy> policy;
  SessionObserver observer;
  SessionLimits limits;
  bool tls = false;
  bool core_only = false;
};

// The other end of the conversation: the server, reached in one of three ways.
class Conversation {
 public:
  virtual ~Conversation() = default;
  virtual void Send(std::string_view bytes) = 0;
  // What the server has said since the last call. A way that has to wait for bytes waits for
  // `expected_bytes`, or for the end if `until_closed`.
  virtual std::string Receive(size_t expected_bytes, bool until_closed) = 0;
  virtual bool Closed() = 0;
  virtual void Handshake() = 0;
  virtual void EndInput() = 0;
  virtual void Stop() = 0;
  virtual void LetTimePass() = 0;  // Until the command timeout.
};

// SessionCore alone; Session over a memory stream that cuts at every byte; Listener and a real
// socket.
std::unique_ptr<Conversation> TalkToCore(DialogueWorld& world);
std::unique_ptr<Conversation> TalkOverMemory(DialogueWorld& world);
std::unique_ptr<Conversation> TalkOverSocket(DialogueWorld& world);

// The dialogue as it really went.
std::string Replay(const std::vector<DialogueLine>& lines, DialogueWorld& world,
                   Conversation& conversation);

// A self-signed certificate for relay.test, made once per process in the test's temporary folder.
TlsServerOptions TestCertificate();

inline constexpr std::string_view kDialogueHostname = "relay.test";

}  // namespace holdfast::smtp
