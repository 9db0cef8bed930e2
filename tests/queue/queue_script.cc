#include "tests/queue/queue_script.h"

#include <absl/time/time.h>

#include <cstdlib>
#include <map>
#include <sstream>
#include <vector>

#include "base/text.h"
#include "queue/queue_view.h"
#include "queue/schedule/attempt_permits.h"
#include "queue/schedule/scheduler.h"
#include "queue/state/invariants.h"
#include "queue/state/unconfirmed.h"
#include "queue/testing/test_queue.h"

namespace holdfast::queue::testing {
namespace {

std::vector<std::string> Split(const std::string& text, char at) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, at);) parts.push_back(part);
  return parts;
}

// A verb and its `key=value` words; a word without '=' is a flag.
struct Line {
  std::string verb;
  std::map<std::string, std::string> words;

  bool Has(const std::string& key) const { return words.contains(key); }
  std::string Text(const std::string& key, const std::string& otherwise = "") const {
    auto found = words.find(key);
    return found == words.end() ? otherwise : found->second;
  }
  double Number(const std::string& key, double otherwise = 0) const {
    auto found = words.find(key);
    return found == words.end() ? otherwise : std::strtod(found->second.c_str(), nullptr);
  }
  uint32_t Count(const std::string& key, uint32_t otherwise = 0) const {
    return static_cast<uint32_t>(Number(key, otherwise));
  }
};

Line Parse(const std::string& text) {
  Line line;
  for (const std::string& word : Split(text, ' ')) {
    if (word.empty()) continue;
    if (line.verb.empty()) {
      line.verb = word;
      continue;
    }
    const size_t equals = word.find('=');
    line.words[word.substr(0, equals)] = equals == std::string::npos ? "" : word.substr(equals + 1);
  }
  return line;
}

command::Result ResultOf(const std::string& name) {
  static const std::map<std::string, command::Result> kNames = {
      {"delivered", command::RESULT_DELIVERED}, {"deferred", command::RESULT_DEFERRED},
      {"bounced", command::RESULT_BOUNCED},     {"expired", command::RESULT_EXPIRED},
      {"not-sent", command::RESULT_NOT_SENT},   {"suppressed", command::RESULT_SUPPRESSED},
  };
  auto found = kNames.find(name);
  return found == kNames.end() ? command::RESULT_UNSET : found->second;
}

class Script {
 public:
  Script()
      : permits_({}, nullptr),
        scheduler_(
            {}, [](std::string_view) { return DestinationLimits(); }, permits_, 1) {}

  std::string Run(const std::string& text) {
    const Line line = Parse(text);
    std::string out = Dispatch(line);
    for (const std::string& finding : CheckInvariants(queue_.tables())) {
      out += "INVARIANT BROKEN: " + finding + "\n";
    }
    return Readable(std::move(out));
  }

 private:
  std::string Dispatch(const Line& line) {
    now_ = AtSecond(line.Number("at", absl::ToDoubleSeconds(now_ - absl::UnixEpoch())));
    if (line.verb == "enqueue") return Applied(MakeEnqueue(Message(line)), line.Count("bodies", 1));
    if (line.verb == "intent") return Applied(MakeIntent(Attempt(line)), 0);
    if (line.verb == "outcome") {
      const AttemptSpec spec = Attempt(line);
      return Applied(MakeOutcome(spec), static_cast<uint32_t>(spec.notices.size()));
    }
    if (line.verb == "chunk" || line.verb == "abandon") return Submission(line);
    if (line.verb == "warn" || line.verb == "bounce") return WithNotice(line);
    if (line.verb == "confirm") return Confirm(line);
    if (line.verb == "seen") return Seen(line);
    if (line.verb == "show") return Show(line);
    if (line.verb == "list") return List(line);
    if (line.verb == "summary") return Summary();
    if (line.verb == "in-doubt") return InDoubt();
    if (line.verb == "audit") return Audit();
    if (line.verb == "rows") return format("{} rows\n", queue_.tables().rows().size());
    if (line.verb == "lead" || line.verb == "tick" || line.verb == "ended") return Schedule(line);
    return OperatorVerb(line);
  }

  std::string Applied(const command::Command& command, uint32_t bodies) {
    ApplyResult result = queue_.Apply(command, bodies);
    scheduler_.OnEvents(result.events, now_);
    std::string out = Verdict(result.verdict) + "\n";
    if (result.items.size() > 1) {
      for (const absl::Status& item : result.items) out += "- " + Verdict(item) + "\n";
    }
    for (const Event& event : result.events) out += EventText(event) + "\n";
    for (const BodyRef& body : result.ended_bodies) {
      out += format("body ended {}.{}\n", body.index, body.ordinal);
    }
    return out;
  }

  static std::string Verdict(const absl::Status& status) {
    if (status.ok()) return "OK";
    return format("{}: {}", absl::StatusCodeToString(status.code()), holdfast::Message(status));
  }

  static MessageSpec Message(const Line& line, const std::string& id_word = "id") {
    MessageSpec spec;
    spec.id = line.Count(id_word, 1);
    spec.sender = line.Text("from", spec.sender);
    if (spec.sender == "<>") spec.sender.clear();
    if (line.Has("to")) spec.to = Split(line.Text("to"), ',');
    spec.at = line.Number("at");
    spec.due = line.Number("due", -1);
    spec.expires = line.Number("expires", spec.expires);
    spec.bodies = line.Count("bodies", 1);
    spec.chunks = line.Count("chunks");
    spec.held = line.Has("held");
    spec.fingerprint = line.Text("fingerprint");
    spec.forget = line.Number("forget", spec.forget);
    spec.kept_max = line.Count("kept", spec.kept_max);
    return spec;
  }

  static std::vector<MessageSpec> Notices(const Line& line) {
    if (!line.Has("notice")) return {};
    MessageSpec spec;
    spec.id = line.Count("notice");
    spec.sender = "";
    spec.to = {line.Text("notice-to", "a@sender.test")};
    spec.at = line.Number("at");
    spec.is_notice = true;
    return {spec};
  }

  static AttemptSpec Attempt(const Line& line) {
    AttemptSpec spec;
    spec.id = line.Count("id", 1);
    spec.unit = line.Count("unit");
    spec.attempt = line.Count("attempt", 1);
    spec.node = line.Count("node", 1);
    spec.at = line.Number("at", 1);
    spec.next = line.Number("next");
    spec.in_doubt = line.Has("in-doubt");
    spec.first_recipient = line.Count("first");
    spec.results.clear();
    for (const std::string& name : Split(line.Text("results", "delivered"), ',')) {
      spec.results.push_back(ResultOf(name));
    }
    spec.notices = Notices(line);
    return spec;
  }

  std::string Submission(const Line& line) {
    command::Command command;
    const std::string id = TestId(line.Count("id", 1)).ToString();
    if (line.verb == "abandon") {
      command.mutable_abandon()->set_queue_id(id);
      return Applied(command, 0);
    }
    command.mutable_chunk()->set_queue_id(id);
    command.mutable_chunk()->set_ordinal(line.Count("ordinal"));
    return Applied(command, 1);
  }

  std::string WithNotice(const Line& line) {
    command::Command command;
    const std::vector<MessageSpec> notices = Notices(line);
    const auto fill = [&](auto* verb) {
      verb->set_queue_id(TestId(line.Count("id", 1)).ToString());
      verb->set_stamped_us(absl::ToUnixMicros(now_));
      for (const MessageSpec& notice : notices) {
        *verb->add_notices()->mutable_enqueue() = EnqueueOf(notice);
      }
    };
    if (line.verb == "warn") {
      fill(command.mutable_warn());
    } else {
      fill(command.mutable_bounce());
      command.mutable_bounce()->set_actor(line.Text("by"));
      command.mutable_bounce()->set_reason(line.Text("reason"));
      // Recipients that the notice is about, from the first; open=0+2 for others.
      for (const std::string& index : Split(line.Text("open", "0"), '+')) {
        command.mutable_bounce()->add_recipients(static_cast<uint32_t>(std::stoul(index)));
      }
    }
    return Applied(command, static_cast<uint32_t>(notices.size()));
  }

  // Messages of one fingerprint.
  std::string Confirm(const Line& line) {
    command::Command command;
    for (const std::string& id : Split(line.Text("ids", line.Text("id", "1")), ',')) {
      command::Confirmed& message = *command.mutable_confirm()->add_messages();
      message.set_queue_id(TestId(static_cast<uint32_t>(std::stoul(id))).ToString());
      message.set_sha256(FingerprintOf(line.Text("fingerprint")));
    }
    command.mutable_confirm()->set_stamped_us(absl::ToUnixMicros(now_));
    return Applied(command, 0);
  }

  std::string Seen(const Line& line) {
    const absl::StatusOr<std::optional<QueueId>> found =
        FindUnconfirmed(queue_.tables(), FingerprintOf(line.Text("fingerprint")), now_);
    if (!found.ok()) return Verdict(found.status()) + "\n";
    return *found ? (*found)->ToString() + "\n" : "no\n";
  }

  std::string OperatorVerb(const Line& line) {
    command::Command command;
    const auto fill = [&](auto* verb) {
      for (const std::string& id : Split(line.Text("ids", line.Text("id", "1")), ',')) {
        verb->add_queue_ids(TestId(static_cast<uint32_t>(std::stoul(id))).ToString());
      }
      verb->set_stamped_us(absl::ToUnixMicros(now_));
      verb->set_actor(line.Text("by"));
    };
    if (line.verb == "hold") {
      fill(command.mutable_hold());
      command.mutable_hold()->set_reason(line.Text("reason"));
    } else if (line.verb == "release") {
      fill(command.mutable_release());
    } else if (line.verb == "remove") {
      fill(command.mutable_remove());
      command.mutable_remove()->set_reason(line.Text("reason"));
    } else if (line.verb == "retry") {
      fill(command.mutable_retry());
    } else if (line.verb == "reroute") {
      fill(command.mutable_reroute());
      command.mutable_reroute()->set_destination(line.Text("destination"));
    } else if (line.verb == "raise-version") {
      command.mutable_raise_state_version()->set_version(line.Count("to"));
    } else {
      return "unknown verb\n";
    }
    return Applied(command, 0);
  }

  static std::string ViewText(const MessageView& view) {
    std::string out = format("{} {} open={} first={} status=({})\n", view.queue_id.text(),
                             MessageStateName(view.state), view.recipients_open,
                             view.first_open_destination, view.last_status);
    return out;
  }

  std::string Show(const Line& line) {
    const QueueId id = TestId(line.Count("id", 1));
    absl::StatusOr<MessageView> view = ShowMessage(queue_.tables(), id, now_);
    if (!view.ok()) {
      absl::StatusOr<rows::RememberedRow> row = Remembered(queue_.tables(), id);
      if (!row.ok()) return Verdict(row.status()) + "\n";
      return row->why() == rows::RememberedRow::ENDED ? "has ended\n" : "was abandoned\n";
    }
    std::string out = ViewText(*view);
    for (const UnitView& unit : view->units) {
      out += format("  unit {} {} {} attempts={} due={}s\n", unit.key.unit, unit.row.destination(),
                    unit.ended ? "ended" : "open", unit.row.attempts(),
                    static_cast<double>(unit.row.due_us()) / 1e6);
      for (const rows::RecipientRow& recipient : unit.row.recipients()) {
        out += format("    {} {} {} {}\n",
                      view->row.envelope().recipients(recipient.recipient()).address(),
                      RecipientEndName(static_cast<RecipientEnd>(recipient.end())),
                      recipient.code(), recipient.text());
      }
    }
    return out;
  }

  std::string List(const Line& line) {
    QueueFilter filter;
    filter.destination = line.Text("destination");
    filter.sender = line.Text("from");
    filter.recipient = line.Text("to");
    filter.age_min = absl::Seconds(line.Number("age"));
    for (MessageState state : {MessageState::kActive, MessageState::kDeferred, MessageState::kHeld,
                               MessageState::kInDoubt}) {
      std::string name(MessageStateName(state));
      if (name == "in doubt") name = "in-doubt";
      if (line.Text("state") == name) filter.state = state;
    }
    std::string out;
    std::string token;
    do {
      absl::StatusOr<QueuePage> page = ListMessages(
          queue_.tables(), filter, now_, line.Count("page", 10), token, line.Count("rows", 1000));
      if (!page.ok()) return Verdict(page.status()) + "\n";
      for (const MessageView& view : page->messages) out += ViewText(view);
      token = page->next_page_token;
      if (!token.empty()) out += "-- next page\n";
    } while (!token.empty());
    return out.empty() ? "nothing\n" : out;
  }

  std::string Summary() {
    absl::StatusOr<QueueSummary> summary = SummariseByDestination(queue_.tables(), now_, 10);
    if (!summary.ok()) return Verdict(summary.status()) + "\n";
    std::string out;
    summary->rows.push_back(summary->total);
    for (const DestinationSummary& row : summary->rows) {
      out += format("{} ready={} in-doubt={} held={} recipients={} ages={}\n",
                    row.destination.empty() ? "total" : row.destination, row.ready_units,
                    row.in_doubt_units, row.held_units, row.recipients,
                    fmt::join(row.ages.begin(), row.ages.end(), " "));
    }
    return out;
  }

  std::string InDoubt() {
    absl::StatusOr<InDoubtPage> page = ListInDoubt(queue_.tables(), 100);
    if (!page.ok()) return Verdict(page.status()) + "\n";
    std::string out;
    for (const InDoubtUnit& unit : page->units) {
      out += format("{} {} node={} attempt={}\n", unit.key.ToString(), unit.destination,
                    unit.attempt.node_id, unit.attempt.attempt_id);
    }
    return out.empty() ? "nothing\n" : out;
  }

  std::string Audit() {
    std::string out;
    absl::StatusOr<std::vector<rows::AuditRow>> audit = ListAudit(queue_.tables(), 100);
    if (!audit.ok()) return Verdict(audit.status()) + "\n";
    for (const rows::AuditRow& row : *audit) {
      out += format("{} {} by={} reason={} recipients={} ({}){}\n", row.verb(), row.queue_id(),
                    row.actor(), row.reason(), row.recipients(), row.recipient_count(),
                    row.in_doubt() ? " in doubt" : "");
    }
    return out.empty() ? "nothing\n" : out;
  }

  std::string Schedule(const Line& line) {
    if (line.verb == "lead") {
      scheduler_.OnLeader(now_);
      return "leading\n";
    }
    if (line.verb == "ended") {
      const UnitKey key{TestId(line.Count("id", 1)), line.Count("unit")};
      const auto found = granted_.find(key);
      if (found == granted_.end()) return "not granted\n";
      const bool answered = line.Text("kind", "answered") == "answered";
      scheduler_.OnAttemptEnded(
          {key, found->second,
           answered ? AttemptEnded::Kind::kAnswered : AttemptEnded::Kind::kUnreachable,
           "connection refused"},
          now_);
      granted_.erase(found);
      return "OK\n";
    }
    std::string out;
    for (const Grant& grant : scheduler_.Tick(now_, queue_.tables())) {
      granted_[grant.key] = grant.attempt_id;
      out += format("grant {} {}{}\n", grant.key.ToString(), grant.destination,
                    grant.failed_already.empty() ? "" : " failed already");
    }
    return out.empty() ? "nothing\n" : out;
  }

  // Ids as the script writes them.
  static std::string Readable(std::string text) {
    for (uint32_t n = 1; n < 100; ++n) {
      const std::string id = TestId(n).ToString();
      for (size_t at; (at = text.find(id)) != std::string::npos;) {
        text.replace(at, id.size(), format("m{}", n));
      }
    }
    return text;
  }

  TestQueue queue_{false};
  AttemptPermits permits_;
  Scheduler scheduler_;
  std::map<UnitKey, uint64_t> granted_;
  absl::Time now_ = absl::UnixEpoch();
};

}  // namespace

std::string RunQueueScript(const std::string& text) {
  Script script;
  std::string out;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    out += line + "\n";
    if (line.empty() || line[0] == '#') continue;
    // What stood there before is read over.
    for (std::string old; std::getline(in, old) && !old.empty();) {
    }
    out += "----\n" + script.Run(line) + "\n";
  }
  while (out.size() > 1 && out.substr(out.size() - 2) == "\n\n") out.pop_back();
  return out;
}

}  // namespace holdfast::queue::testing
