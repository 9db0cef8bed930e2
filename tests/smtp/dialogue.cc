#include "tests/smtp/dialogue.h"

#include <sstream>
#include <utility>

#include "base/check.h"
#include "base/status.h"
#include "base/text.h"

namespace holdfast::smtp {
namespace {

std::string Unescape(std::string_view text) {
  std::string bytes;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 >= text.size()) {
      bytes += text[i];
      continue;
    }
    switch (text[++i]) {
      case 'r':
        bytes += '\r';
        break;
      case 'n':
        bytes += '\n';
        break;
      case '0':
        bytes += '\0';
        break;
      case 'x':
        bytes += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
        i += 2;
        break;
      default:
        bytes += text[i];
    }
  }
  return bytes;
}

// Control bytes, which text files don't keep, by name; the rest as it is.
std::string Escape(std::string_view bytes) {
  std::string text;
  for (char c : bytes) {
    if (c == '\\') {
      text += "\\\\";
    } else if (c == '\r') {
      text += "\\r";
    } else if (c == '\n') {
      text += "\\n";
    } else if (c == '\0') {
      text += "\\0";
    } else if ((c >= 0 && c < 0x20) || c == 0x7F) {
      text += format("\\x{:02X}", static_cast<unsigned>(c));
    } else {
      text += c;
    }
  }
  return text;
}

std::vector<std::string> Lines(std::string_view bytes) {
  std::vector<std::string> lines;
  while (!bytes.empty()) {
    const size_t end = bytes.find("\r\n");
    lines.push_back(Escape(bytes.substr(0, end)) + (end == std::string_view::npos ? "<open>" : ""));
    bytes.remove_prefix(end == std::string_view::npos ? bytes.size() : end + 2);
  }
  return lines;
}

std::string ShowEnvelope(const std::optional<SunkMessage>& message) {
  if (!message) return "E: nothing\n";
  const Envelope& envelope = *message->envelope;
  std::string text =
      format("E: client {} {} {}{}\n", envelope.client.address.ToLiteral(),
             envelope.client.ehlo_name, envelope.protocol, envelope.trusted ? " trusted" : "");
  text += format("E: from <{}>", envelope.reverse_path);
  if (envelope.declared_bytes) text += format(" size={}", *envelope.declared_bytes);
  if (envelope.body) text += *envelope.body == BodyType::k7Bit ? " body=7bit" : " body=8bitmime";
  if (envelope.smtputf8) text += " smtputf8";
  if (envelope.ret) text += *envelope.ret == DsnReturn::kFull ? " ret=full" : " ret=hdrs";
  if (envelope.envid) text += " envid=" + *envelope.envid;
  text += "\n";
  for (const EnvelopeRecipient& to : envelope.recipients) {
    text += format("E: to <{}> at {}", to.local_part + "@" + to.domain, to.destination);
    if (to.mailbox != to.local_part + "@" + to.domain) text += format(" for <{}>", to.mailbox);
    if (to.notify) text += " notify=" + to.notify->ToString();
    if (to.orcpt) text += " orcpt=" + *to.orcpt;
    text += "\n";
  }
  const FinalFacts& facts = message->facts;
  text += format("E: bytes {} own {} received {}", facts.bytes, facts.trace_header_bytes,
                 facts.received_fields);
  if (facts.needs_8bit) text += " 8bit";
  if (facts.utf8_headers) text += " utf8-headers";
  if (facts.has_date) text += " date";
  if (!facts.message_id.empty()) text += " id " + facts.message_id;
  text += "\n";
  constexpr size_t kShownLinesMax = 20;
  const std::vector<std::string> lines = Lines(message->content);
  for (size_t i = 0; i < lines.size() && i < kShownLinesMax; ++i) {
    text += "E: |" + (lines[i].size() > 100 ? lines[i].substr(0, 40) + "..." : lines[i]) + "\n";
  }
  if (lines.size() > kShownLinesMax) text += format("E: {} lines\n", lines.size());
  return text;
}

RelayRules BackupMx(bool trust_loopback) {
  RelayRulesOptions options;
  options.trusted_networks.clear();
  if (trust_loopback) options.trusted_networks = {"127.0.0.0/8"};
  options.relay_domains = {{"backup.test", std::nullopt},
                           {"listed.test", {{"alice"}}},
                           {"b\xC3\xBC"
                            "cher.test",
                            std::nullopt}};
  options.local_names = {std::string(kDialogueHostname)};
  options.postmaster_address = "admin@backup.test";
  absl::StatusOr<RelayRules> rules = RelayRules::Create(options);
  HOLDFAST_CHECK(rules.ok()) << rules.status();
  return *std::move(rules);
}

void SetLimit(SessionLimits& limits, const std::string& name, int64_t value) {
  if (name == "message_bytes_max") {
    limits.message_bytes_max = static_cast<uint64_t>(value);
  } else if (name == "recipients_max") {
    limits.recipients_max = static_cast<size_t>(value);
  } else if (name == "envelope_bytes_max") {
    limits.envelope_bytes_max = static_cast<size_t>(value);
  } else if (name == "errors_max") {
    limits.errors_max = static_cast<int>(value);
  } else if (name == "refused_recipients_max") {
    limits.refused_recipients_max = static_cast<int>(value);
  } else if (name == "received_fields_max") {
    limits.received_fields_max = static_cast<int>(value);
  } else if (name == "header_bytes_max") {
    limits.header_bytes_max = static_cast<uint64_t>(value);
  } else if (name == "text_line_bytes_max") {
    limits.text_line_bytes_max = static_cast<uint64_t>(value);
  } else if (name == "gather_bytes_max") {
    limits.gather_bytes_max = static_cast<size_t>(value);
  } else if (name == "chunk_bytes") {
    limits.chunk_bytes = static_cast<size_t>(value);
  } else if (name == "command_timeout_ms") {
    limits.command_timeout = absl::Milliseconds(value);
  } else {
    HOLDFAST_CHECK(false) << "no limit is called " << name;
  }
}

}  // namespace

std::vector<DialogueLine> ParseDialogue(std::string_view text) {
  std::vector<DialogueLine> lines;
  std::istringstream stream{std::string(text)};
  for (std::string line; std::getline(stream, line);) {
    DialogueLine parsed;
    parsed.text = line;
    const std::string rest = line.size() > 3 ? line.substr(3) : "";
    if (line.starts_with("C:")) {
      parsed.kind = DialogueLine::Kind::kClient;
      parsed.bytes = Unescape(rest) + "\r\n";
    } else if (line.starts_with("C-")) {
      parsed.kind = DialogueLine::Kind::kClient;
      parsed.bytes = Unescape(rest);
    } else if (line.starts_with("C*")) {
      parsed.kind = DialogueLine::Kind::kClient;
      const size_t space = rest.find(' ');
      const std::string once = Unescape(std::string_view(rest).substr(space + 1)) + "\r\n";
      for (int i = std::stoi(rest); i > 0; --i) parsed.bytes += once;
    } else if (line.starts_with("S:")) {
      parsed.kind = DialogueLine::Kind::kServer;
    } else if (line.starts_with("E:")) {
      parsed.kind = DialogueLine::Kind::kEnvelope;
    } else if (line.starts_with("@")) {
      parsed.kind = DialogueLine::Kind::kDirective;
      std::istringstream words(line.substr(1));
      for (std::string word; words >> word;) parsed.words.push_back(word);
    } else {
      HOLDFAST_CHECK(line.empty() || line.starts_with("#")) << "what is this: " << line;
    }
    lines.push_back(std::move(parsed));
  }
  return lines;
}

// --- ScriptedSink ---

absl::StatusOr<std::unique_ptr<ScriptedSink::Message>> ScriptedSink::BeginNow(
    std::shared_ptr<const Envelope> envelope) {
  MutexLock lock(mutex_);
  if (mode_ == "full") return absl::ResourceExhaustedError("no room");
  return std::make_unique<Message>(*this, std::move(envelope), format("0TEST{:011}", ++begun_));
}

absl::StatusOr<std::unique_ptr<Submission>> ScriptedSink::Begin(
    std::shared_ptr<const Envelope> envelope) {
  absl::StatusOr<std::unique_ptr<Message>> message = BeginNow(std::move(envelope));
  if (!message.ok()) return message.status();
  return *std::move(message);
}

void ScriptedSink::Confirmed(const std::string& queue_id) {
  MutexLock lock(mutex_);
  confirmed_.push_back(queue_id);
}

void ScriptedSink::Unconfirmed(const std::string& queue_id) {
  MutexLock lock(mutex_);
  unconfirmed_.push_back(queue_id);
}

void ScriptedSink::SetMode(std::string mode) {
  MutexLock lock(mutex_);
  mode_ = std::move(mode);
}

std::optional<SunkMessage> ScriptedSink::last() const {
  MutexLock lock(mutex_);
  if (messages_.empty()) return std::nullopt;
  return messages_.back();
}

size_t ScriptedSink::committed() const {
  MutexLock lock(mutex_);
  return messages_.size();
}

size_t ScriptedSink::abandoned() const {
  MutexLock lock(mutex_);
  return abandoned_;
}

std::vector<std::string> ScriptedSink::unconfirmed() const {
  MutexLock lock(mutex_);
  return unconfirmed_;
}

std::vector<std::string> ScriptedSink::confirmed() const {
  MutexLock lock(mutex_);
  return confirmed_;
}

ScriptedSink::Message::~Message() {
  if (committed_) return;
  MutexLock lock(sink_.mutex_);
  ++sink_.abandoned_;
}

absl::Status ScriptedSink::Message::WriteNow(const std::string& chunk) {
  MutexLock lock(sink_.mutex_);
  if (sink_.mode_ == "broken-write") return absl::UnavailableError("leader lost");
  message_.content += chunk;
  message_.chunks.push_back(chunk.size());
  return absl::OkStatus();
}

absl::StatusOr<std::string> ScriptedSink::Message::CommitNow(const FinalFacts& facts) {
  MutexLock lock(sink_.mutex_);
  if (sink_.mode_ == "unavailable") return absl::UnavailableError("no quorum");
  if (sink_.mode_ == "unknown") return absl::DeadlineExceededError("no answer");
  if (sink_.mode_ == "repeat") return "0TESTFIRSTSEEN00";
  committed_ = true;
  message_.facts = facts;
  sink_.messages_.push_back(message_);
  return queue_id_;
}

asio::awaitable<absl::Status> ScriptedSink::Message::Write(
    std::shared_ptr<const std::string> chunk) {
  co_return WriteNow(*chunk);
}

asio::awaitable<absl::StatusOr<std::string>> ScriptedSink::Message::Commit(FinalFacts facts) {
  co_return CommitNow(facts);
}

// --- ScriptedPolicy ---

ScriptedPolicy::ScriptedPolicy(bool trust_loopback) : rules_(BackupMx(trust_loopback)) {}

void ScriptedPolicy::SetMode(std::string mode) {
  MutexLock lock(mutex_);
  mode_ = std::move(mode);
}

MailDecision ScriptedPolicy::OnMail(const ClientFacts& client, const MailCommand& command) {
  MailDecision decision = rules_.OnMail(client, command);
  MutexLock lock(mutex_);
  if (mode_ == "no-quorum") {
    decision.refusal = Reply(451, {4, 3, 2}, "No majority of nodes is connected; try again later");
  } else if (mode_ == "disk-full") {
    decision.refusal = Reply(452, {4, 3, 1}, "Insufficient system storage; try again later");
  } else if (mode_ == "overloaded") {
    decision.refusal = Reply(421, {4, 3, 2}, "relay.test is overloaded; try another host");
  }
  return decision;
}

RcptDecision ScriptedPolicy::OnRcpt(const ClientFacts& client, const MailCommand&,
                                    const RcptCommand& command) {
  return rules_.OnRcpt(client, command);
}

// --- replay ---

DialogueWorld::DialogueWorld(const std::vector<DialogueLine>& lines)
    : clock(absl::FromUnixSeconds(1767323045)) {
  bool trusted = false;
  for (const DialogueLine& line : lines) {
    if (line.words.empty()) continue;
    if (line.words[0] == "tls") tls = true;
    if (line.words[0] == "trusted") trusted = true;
    if (line.words[0] == "only") core_only = true;
    if (line.words[0] == "limit") SetLimit(limits, line.words.at(1), std::stoll(line.words.at(2)));
  }
  policy = std::make_unique<ScriptedPolicy>(trusted);
}

std::string Replay(const std::vector<DialogueLine>& lines, DialogueWorld& world,
                   Conversation& conversation) {
  using Kind = DialogueLine::Kind;
  std::string transcript;
  std::string pending;
  bool listening = true;  // Something may have been said since we last looked: the greeting.
  const auto exchange = [&](size_t next) {
    if (!pending.empty()) conversation.Send(std::exchange(pending, std::string()));
    if (!std::exchange(listening, false)) return;
    size_t expected_bytes = 0;
    bool until_closed = false;
    for (size_t i = next; i < lines.size() && lines[i].kind != Kind::kClient; ++i) {
      if (lines[i].kind == Kind::kServer) {
        expected_bytes += lines[i].text.size() - 3 + 2;
      } else if (lines[i].kind == Kind::kDirective) {
        until_closed = lines[i].words[0] == "closed";
        break;
      }
    }
    for (const std::string& line : Lines(conversation.Receive(expected_bytes, until_closed))) {
      transcript += "S: " + line + "\n";
    }
  };

  for (size_t i = 0; i < lines.size(); ++i) {
    const DialogueLine& line = lines[i];
    switch (line.kind) {
      case Kind::kProse:
        transcript += line.text + "\n";
        break;
      case Kind::kClient:
        if (pending.empty()) exchange(i);
        pending += line.bytes;
        listening = true;
        transcript += line.text + "\n";
        break;
      case Kind::kServer:
        exchange(i);
        break;
      case Kind::kEnvelope:
        break;
      case Kind::kDirective: {
        const std::string& verb = line.words[0];
        const bool setup = verb == "tls" || verb == "trusted" || verb == "limit" || verb == "only";
        if (!setup) exchange(i);
        if (verb == "closed" && !conversation.Closed()) {
          transcript += "@open\n";
          break;
        }
        transcript += line.text + "\n";
        if (verb == "sink") world.sink.SetMode(line.words.at(1));
        if (verb == "policy") world.policy->SetMode(line.words.at(1));
        if (verb == "envelope") transcript += ShowEnvelope(world.sink.last());
        if (verb == "handshake") conversation.Handshake();
        if (verb == "eof") conversation.EndInput();
        if (verb == "stop") conversation.Stop();
        if (verb == "timeout") conversation.LetTimePass();
        if (!setup) listening = verb == "eof" || verb == "stop" || verb == "timeout";
        break;
      }
    }
  }
  exchange(lines.size());
  return transcript;
}

}  // namespace holdfast::smtp
