// `holdfast queue ...`: what waits, and what to do with it.
#include <absl/time/time.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>

#include "base/text.h"
#include "ops/cli/session.h"
#include "ops/cli/table_print.h"

namespace holdfast::cli {
namespace {

using Stub = admin::Admin::Stub;

constexpr size_t kColumnCharactersMax = 40;
constexpr int kIdsShownMax = 1000;

const std::map<std::string, admin::MessageState>& States() {
  static const auto* const kStates =
      new std::map<std::string, admin::MessageState>{{"active", admin::ACTIVE},
                                                     {"deferred", admin::DEFERRED},
                                                     {"held", admin::HELD},
                                                     {"in-doubt", admin::IN_DOUBT}};
  return *kStates;
}

std::string StateText(admin::MessageState state) {
  for (const auto& [name, value] : States()) {
    if (value == state) return name;
  }
  return "-";
}

// Of a list, which is shown all the same.
void NoteLate(const google::protobuf::RepeatedPtrField<admin::LateGroup>& late, Session& session) {
  for (const admin::LateGroup& one : late) {
    session.err() << format("note: group {} as this node had it last: {}\n", one.group(),
                            Shown(one.reason()));
  }
}

std::string SenderText(const std::string& sender) { return sender.empty() ? "<>" : sender; }

// The options by which messages are chosen.
struct Choice {
  admin::QueueFilter filter;
  std::string older_than;

  void AddOptions(CLI::App* verb) {
    for (const auto& [name, field, text] :
         {std::tuple{"--destination", filter.mutable_destination(),
                     "recipients' domain, or .example.com for all below it"},
          {"--sender", filter.mutable_sender(), "address, @example.com, or <> for the null sender"},
          {"--recipient", filter.mutable_recipient(), "address, or @example.com"}}) {
      verb->add_option(name, *field, text);
    }
    verb->add_option_function<std::string>(
            "--state", [this](const std::string& name) { filter.set_state(States().at(name)); },
            "active, deferred, held or in-doubt")
        ->check(CLI::IsMember(States()));
    verb->add_option_function<std::string>(
        "--older-than",
        [this](const std::string& text) {
          absl::Duration age;
          if (!absl::ParseDuration(text, &age) || age < absl::Seconds(1)) {
            throw CLI::ValidationError("--older-than",
                                       "needs a time of a second or more, as 30m or 4h");
          }
          filter.set_age_seconds_min(static_cast<uint64_t>(absl::ToInt64Seconds(age)));
        },
        "accepted at least this long ago: 30m, 4h");
  }
};

// ---- summary -----------------------------------------------------------------------------------

void PrintSummary(const admin::QueueSummaryResponse& summary, bool by_sender, std::ostream& out) {
  std::vector<Column> columns = {{by_sender ? "SENDER" : "DESTINATION"}, {"TOTAL", Align::kRight}};
  for (const uint32_t minutes : summary.age_minutes()) {
    columns.push_back({format("{}", minutes), Align::kRight});
  }
  const int bounds = summary.age_minutes_size();
  columns.push_back(
      {bounds == 0 ? "ALL" : format("{}+", summary.age_minutes(bounds - 1)), Align::kRight});
  Table table(std::move(columns));
  const auto add = [&](const std::string& name, const admin::QueueSummaryRow& row) {
    std::vector<std::string> cells = {name, CountText(row.total())};
    for (int i = 0; i <= bounds; ++i) {
      cells.push_back(CountText(i < row.counts_size() ? row.counts(i) : 0));
    }
    table.AddRow(std::move(cells));
  };
  add("TOTAL", summary.total());
  for (const admin::QueueSummaryRow& row : summary.rows()) add(row.destination(), row);
  table.Print(out);
  if (summary.rows_omitted() > 0) {
    out << format("and {} more (see --rows)\n", CountText(summary.rows_omitted()));
  }
}

void AddSummary(CLI::App* queue, Session& session) {
  CLI::App* const verb =
      queue->add_subcommand("summary", "Recipients waiting, by destination and age in minutes");
  const auto request = std::make_shared<admin::QueueSummaryRequest>();
  verb->add_option_function<uint32_t>(
          "--rows", [request](const uint32_t& rows) { request->set_rows_max(rows); },
          "destinations shown, the largest first; 50 when not given")
      ->check(CLI::Range(1, 10000));
  verb->add_flag_callback(
      "--by-sender", [request] { request->set_by_sender(true); },
      "by the senders' domains instead");
  verb->add_option_function<std::string>(
          "--state", [request](const std::string& name) { request->set_state(States().at(name)); },
          "only these messages")
      ->check(CLI::IsMember(States()));
  verb->footer(
      "Examples:\n  holdfast queue summary\n  holdfast queue summary --state held --rows 10");
  session.OnRun(verb, [&session, request] {
    admin::QueueSummaryResponse response;
    if (!session.Call(&Stub::QueueSummary, *request, &response)) return;
    if (session.json()) {
      session.PrintJson(response);
    } else {
      PrintSummary(response, request->by_sender(), session.out());
      NoteLate(response.late_groups(), session);
    }
  });
}

// ---- list and show -----------------------------------------------------------------------------

void PrintList(const admin::QueueListResponse& page, std::ostream& out) {
  Table table({{"ID"},
               {"STATE"},
               {"ACCEPTED"},
               {"SIZE", Align::kRight},
               {"OPEN", Align::kRight},
               {"SENDER"},
               {"DESTINATION"},
               {"LAST STATUS"}});
  for (const admin::QueueEntry& entry : page.messages()) {
    table.AddRow({entry.queue_id(), StateText(entry.state()), TimeText(entry.accepted()),
                  BytesText(entry.bytes()),
                  format("{}/{}", entry.recipients_open(), entry.recipients()),
                  Shown(SenderText(entry.sender()), kColumnCharactersMax),
                  Shown(entry.destination(), kColumnCharactersMax),
                  Shown(entry.last_status(), kColumnCharactersMax)});
  }
  table.Print(out);
}

// Page after page, so that memory does not grow with the queue.
void RunList(Session& session, admin::QueueListRequest request, uint64_t limit) {
  constexpr uint64_t kPageMax = 1000;
  uint64_t shown = 0;
  while (true) {
    const uint64_t wanted = limit == 0 ? kPageMax : std::min(kPageMax, limit - shown);
    request.set_page_size(static_cast<uint32_t>(wanted));
    admin::QueueListResponse page;
    if (!session.Call(&Stub::QueueList, request, &page)) return;
    if (!session.json()) NoteLate(page.late_groups(), session);
    shown += static_cast<uint64_t>(page.messages_size());
    const bool more = !page.next_page_token().empty();
    if (session.json()) {
      session.PrintJson(page);
    } else if (page.messages_size() > 0) {
      PrintList(page, session.out());
    }
    if (!more) break;
    if (page.next_page_token() == request.page_token()) {
      session.Fail("the node's list does not come to an end");
      return;
    }
    if (limit != 0 && shown >= limit) {
      if (!session.json()) {
        session.err() << format("there are more than {} (see --limit)\n", CountText(shown));
      }
      return;
    }
    request.set_page_token(page.next_page_token());
  }
  if (shown == 0 && !session.json()) session.err() << "no messages\n";
}

void AddList(CLI::App* queue, Session& session) {
  CLI::App* const verb = queue->add_subcommand("list", "The messages that wait");
  const auto choice = std::make_shared<Choice>();
  const auto limit = std::make_shared<uint64_t>(100);
  choice->AddOptions(verb);
  verb->add_option("--limit", *limit, "messages shown at most; 0 for all")->capture_default_str();
  verb->footer(
      "With --output json each line is one page of at most 1000 messages.\n"
      "Examples:\n"
      "  holdfast queue list\n"
      "  holdfast queue list --destination example.com --state deferred --older-than 4h");
  session.OnRun(verb, [&session, choice, limit] {
    admin::QueueListRequest request;
    *request.mutable_filter() = choice->filter;
    RunList(session, std::move(request), *limit);
  });
}

void PrintMessage(const admin::QueueShowResponse& show, std::ostream& out) {
  const admin::QueueEntry& entry = show.message();
  const auto line = [&out](std::string_view name, const std::string& value) {
    if (!value.empty()) out << format("{:<14}{}\n", name, Shown(value));
  };
  line("queue id", entry.queue_id());
  line("state", StateText(entry.state()));
  line("held because", entry.held_reason());
  line("sender", SenderText(entry.sender()));
  line("message id", show.message_id());
  line("envelope id", show.envelope_id());
  line("size", format("{} ({} bytes)", BytesText(entry.bytes()), CountText(entry.bytes())));
  line("accepted", TimeText(entry.accepted()));
  line("expires", TimeText(show.expires()));
  line("client", show.client());
  line("EHLO name", show.ehlo());
  line("user", show.auth_user());
  line("stored in", format("group {}, index {}", entry.group(), show.log_index()));
  out << '\n';
  Table table({{"RECIPIENT"},
               {"OUTCOME"},
               {"ATTEMPTS", Align::kRight},
               {"LAST"},
               {"NEXT"},
               {"REMOTE"},
               {"LAST STATUS"}});
  for (const admin::RecipientStatus& recipient : show.recipients()) {
    table.AddRow({recipient.address(), recipient.outcome(), format("{}", recipient.attempts()),
                  TimeText(recipient.last_attempt()), TimeText(recipient.next_attempt()),
                  recipient.remote().empty() ? "-" : recipient.remote(), recipient.last_status()});
  }
  table.Print(out);
}

void AddShow(CLI::App* queue, Session& session) {
  CLI::App* const verb = queue->add_subcommand("show", "All about one message");
  const auto request = std::make_shared<admin::QueueShowRequest>();
  verb->add_option("ID", *request->mutable_queue_id(), "queue id")->required();
  verb->footer("Examples:\n  holdfast queue show 01J9ABCDEFGHJKMN");
  session.OnRun(verb, [&session, request] {
    admin::QueueShowResponse response;
    if (!session.Call(&Stub::QueueShow, *request, &response)) return;
    if (session.json()) {
      session.PrintJson(response);
    } else {
      PrintMessage(response, session.out());
      NoteLate(response.late_groups(), session);
    }
  });
}

// ---- actions -----------------------------------------------------------------------------------

struct Action {
  const char* name;
  const char* done;  // "removed 3 messages".
  const char* text;
  bool needs_reason;
  bool needs_target;
  Session::Method<admin::QueueActionRequest, admin::QueueActionResponse> method;
};

constexpr Action kActions[] = {
    {"retry", "due now:", "Makes messages due now", false, false, &Stub::QueueRetry},
    {"hold", "held", "Keeps messages from being attempted", true, false, &Stub::QueueHold},
    {"release", "released", "Lets held messages go on", false, false, &Stub::QueueRelease},
    {"remove", "removed", "Ends messages; nobody is told", true, false, &Stub::QueueRemove},
    {"bounce", "bounced", "Ends messages; their senders are told", true, false, &Stub::QueueBounce},
    {"reroute", "rerouted", "Sends messages by the way to another domain", true, true,
     &Stub::QueueReroute},
};

void AddTo(admin::QueueActionResponse& sum, const admin::QueueActionResponse& part) {
  sum.set_messages_touched(sum.messages_touched() + part.messages_touched());
  sum.set_recipients_touched(sum.recipients_touched() + part.recipients_touched());
  for (const std::string& id : part.queue_ids()) {
    if (sum.queue_ids_size() < kIdsShownMax) sum.add_queue_ids(id);
  }
  sum.mutable_refused()->MergeFrom(part.refused());
  sum.mutable_late_groups()->MergeFrom(part.late_groups());
}

void PrintAction(const Action& action, bool dry_run, const admin::QueueActionResponse& sum,
                 Session& session) {
  if (session.json()) {
    session.PrintJson(sum);
  } else {
    const std::string touched = format("{} ({})", CountOf(sum.messages_touched(), "message"),
                                       CountOf(sum.recipients_touched(), "recipient"));
    if (dry_run) {
      session.out() << format("would {} {}; nothing was done\n", action.name, touched);
    } else {
      session.out() << format("{} {}\n", action.done, touched);
    }
  }
}

void RunAction(const Action& action, admin::QueueActionRequest request, Session& session) {
  admin::QueueActionResponse sum;
  bool failed = false;
  while (true) {
    admin::QueueActionResponse part;
    failed = !session.Call(action.method, request, &part);
    if (failed) break;
    AddTo(sum, part);
    if (part.next_cursor().empty()) break;
    if (part.next_cursor() == request.cursor()) {
      session.Fail("the node does not come to an end");
      failed = true;
      break;
    }
    request.set_cursor(part.next_cursor());
  }
  // What was done before a failure was done, and is said too.
  if (!failed || sum.messages_touched() > 0) PrintAction(action, request.dry_run(), sum, session);
  for (const admin::QueueRefusal& refusal : sum.refused()) {
    session.Fail(format("{}: {}", refusal.queue_id(), refusal.reason()));
  }
  for (const admin::LateGroup& late : sum.late_groups()) {
    session.Fail(
        format("group {} was left alone, for this node may not know all of its messages: {}; ask "
               "another node, or try again",
               late.group(), late.reason()));
  }
}

void AddAction(CLI::App* queue, const Action& action, Session& session) {
  CLI::App* const verb = queue->add_subcommand(action.name, action.text);
  const auto choice = std::make_shared<Choice>();
  const auto ids = std::make_shared<std::vector<std::string>>();
  const auto request = std::make_shared<admin::QueueActionRequest>();
  const auto all = std::make_shared<bool>(false);
  verb->add_option("ID", *ids, "queue ids; or choose with the options below");
  choice->AddOptions(verb);
  verb->add_flag("--all", *all, "every message in the queue");
  if (action.needs_target) {
    verb->add_option("--to", *request->mutable_to_destination(),
                     "domain whose route or MX hosts are used; addresses stay as they are")
        ->required();
  }
  CLI::Option* const reason =
      verb->add_option("--reason", *request->mutable_reason(),
                       action.needs_reason ? "why; recorded, and required" : "why; recorded");
  verb->add_flag_callback(
      "--dry-run", [request] { request->set_dry_run(true); },
      "says what would be done, and does nothing");
  verb->footer(
      format("Examples:\n"
             "  holdfast queue {0} 01J9ABCDEFGHJKMN{2}{1}\n"
             "  holdfast queue {0} --destination example.com{2}{1}\n"
             "  holdfast queue {0} --all{2} --dry-run",
             action.name, action.needs_reason ? " --reason \"asked by Alice\"" : "",
             action.needs_target ? " --to other.example" : ""));
  session.OnRun(verb, [&session, &action, choice, ids, request, all, reason] {
    admin::QueueFilter filter = choice->filter;
    filter.set_all(*all);
    const bool filtered = filter.ByteSizeLong() > 0;
    if (ids->empty() == !filtered) {
      throw CLI::ValidationError("ID", ids->empty() ? "give queue ids, or choose with options"
                                                    : "give queue ids or options, not both");
    }
    if (action.needs_reason && !request->dry_run() && reason->count() == 0) {
      throw CLI::ValidationError("--reason", "is required");
    }
    for (const std::string& id : *ids) request->add_queue_ids(id);
    if (filtered) *request->mutable_filter() = filter;
    RunAction(action, *request, session);
  });
}

}  // namespace

void AddQueue(CLI::App& app, Session& session) {
  CLI::App* const queue = app.add_subcommand("queue", "The messages that wait");
  queue->require_subcommand(1);
  queue->footer(
      "Examples:\n"
      "  holdfast queue summary\n"
      "  holdfast queue list --state held\n"
      "  holdfast queue remove --sender spammer@example.com --reason \"spam run\"");
  AddSummary(queue, session);
  AddList(queue, session);
  AddShow(queue, session);
  for (const Action& action : kActions) AddAction(queue, action, session);
}

}  // namespace holdfast::cli
