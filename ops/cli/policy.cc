// `holdfast policy ...`: what the cluster does with mail.
#include <CLI/CLI.hpp>

#include "base/text.h"
#include "ops/cli/session.h"
#include "ops/cli/table_print.h"

namespace holdfast::cli {
namespace {

using Stub = admin::Admin::Stub;
using Problems = google::protobuf::RepeatedPtrField<admin::PolicyProblem>;

// One a line, as compilers do, so that editors can jump there. False when there are any.
bool NoProblems(const Problems& problems, const std::string& file, Session& session) {
  for (const admin::PolicyProblem& problem : problems) {
    const std::string place =
        problem.line() == 0 ? file : format("{}:{}:{}", file, problem.line(), problem.column());
    session.err() << format("{}: {}\n", place, Shown(problem.text()));
  }
  if (problems.empty()) return true;
  session.Fail(
      format("{} in the policy", CountOf(static_cast<uint64_t>(problems.size()), "mistake")));
  return false;
}

void AddCheck(CLI::App* policy, Session& session) {
  CLI::App* const verb = policy->add_subcommand("check", "Says what is wrong with a policy file");
  const auto file = std::make_shared<std::string>();
  verb->add_option("FILE", *file, "policy; - for standard input")->required();
  verb->footer("Examples:\n  holdfast policy check policy.textproto");
  session.OnRun(verb, [&session, file] {
    admin::PolicyCheckRequest request;
    admin::PolicyCheckResponse response;
    if (!session.ReadFile(*file, request.mutable_policy_text())) return;
    if (!session.Call(&Stub::PolicyCheck, request, &response)) return;
    if (session.json()) session.PrintJson(response);
    if (NoProblems(response.problems(), *file, session) && !session.json()) {
      session.out() << *file << ": no mistakes\n";
    }
  });
}

void AddDiff(CLI::App* policy, Session& session) {
  CLI::App* const verb = policy->add_subcommand(
      "diff", "What a policy file would change, or what changed between versions");
  const auto file = std::make_shared<std::string>();
  const auto from = std::make_shared<uint64_t>(0);
  const auto to = std::make_shared<uint64_t>(0);
  CLI::Option* const file_option = verb->add_option("FILE", *file, "policy; - for standard input");
  verb->add_option("--from", *from, "version to compare with; the current one when not given");
  verb->add_option("--to", *to, "version instead of a file")->excludes(file_option);
  verb->footer(
      "Examples:\n  holdfast policy diff policy.textproto\n  holdfast policy diff --from 3 --to 4");
  session.OnRun(verb, [&session, file, from, to] {
    if (file->empty() && *to == 0 && *from == 0) {
      throw CLI::ValidationError("FILE", "give a file, or versions with --from and --to");
    }
    admin::PolicyDiffRequest request;
    admin::PolicyDiffResponse response;
    request.set_from_version(*from);
    request.set_to_version(*to);
    if (!file->empty() && !session.ReadFile(*file, request.mutable_policy_text())) return;
    if (!session.Call(&Stub::PolicyDiff, request, &response)) return;
    if (session.json()) session.PrintJson(response);
    if (!NoProblems(response.problems(), *file, session) || session.json()) return;
    session.out() << (response.diff().empty() ? "no difference\n" : response.diff());
  });
}

// Used by apply and rollback.
void Apply(Session& session, const admin::PolicyApplyRequest& request, const std::string& file) {
  admin::PolicyApplyResponse response;
  if (!session.Call(&Stub::PolicyApply, request, &response)) return;
  if (session.json()) session.PrintJson(response);
  if (!NoProblems(response.problems(), file, session) || session.json()) return;
  if (response.unchanged()) {
    session.out() << format("version {} says the same; nothing was changed\n", response.version());
  } else {
    session.out() << format("version {} applied\n", response.version());
  }
}

void AddApply(CLI::App* policy, Session& session) {
  CLI::App* const verb =
      policy->add_subcommand("apply", "Makes a policy file the policy of all nodes");
  const auto file = std::make_shared<std::string>();
  const auto request = std::make_shared<admin::PolicyApplyRequest>();
  verb->add_option("FILE", *file, "policy; - for standard input")->required();
  verb->add_option("--comment", *request->mutable_comment(), "why; recorded with the version");
  verb->add_option_function<uint64_t>(
      "--expected-version",
      [request](const uint64_t& version) { request->set_expected_version(version); },
      "refuse if this version is no longer the current one");
  verb->footer(
      "Examples:\n"
      "  holdfast policy apply policy.textproto --comment \"new smarthost\"\n"
      "  holdfast policy apply policy.textproto --expected-version 7");
  session.OnRun(verb, [&session, file, request] {
    if (session.ReadFile(*file, request->mutable_policy_text())) Apply(session, *request, *file);
  });
}

void AddShow(CLI::App* policy, Session& session) {
  CLI::App* const verb = policy->add_subcommand("show", "The policy as it was written");
  const auto request = std::make_shared<admin::PolicyShowRequest>();
  verb->add_option_function<uint64_t>(
      "--version", [request](const uint64_t& version) { request->set_version(version); },
      "the current one when not given");
  verb->footer(
      "Examples:\n  holdfast policy show\n  holdfast policy show --version 3 > policy.textproto");
  session.OnRun(verb, [&session, request] {
    admin::PolicyShowResponse response;
    if (!session.Call(&Stub::PolicyShow, *request, &response)) return;
    if (session.json()) {
      session.PrintJson(response);
      return;
    }
    const std::string& text = response.policy_text();
    session.out() << text << (text.empty() || text.back() == '\n' ? "" : "\n");
    if (text.empty()) session.err() << "the default policy: nothing was applied yet\n";
  });
}

void AddHistory(CLI::App* policy, Session& session) {
  CLI::App* const verb = policy->add_subcommand("history", "Who changed the policy, when and why");
  const auto request = std::make_shared<admin::PolicyHistoryRequest>();
  verb->add_option_function<uint32_t>(
          "--limit", [request](const uint32_t& limit) { request->set_versions_max(limit); },
          "versions shown, the newest first; 20 when not given")
      ->check(CLI::Range(1, 100));
  verb->footer("Examples:\n  holdfast policy history --limit 5");
  session.OnRun(verb, [&session, request] {
    admin::PolicyHistoryResponse response;
    if (!session.Call(&Stub::PolicyHistory, *request, &response)) return;
    if (session.json()) {
      session.PrintJson(response);
      return;
    }
    Table table({{"VERSION", Align::kRight}, {"APPLIED"}, {"BY"}, {"COMMENT"}});
    for (const admin::PolicyVersion& version : response.versions()) {
      table.AddRow({format("{}", version.version()), TimeText(version.applied()), version.actor(),
                    version.comment()});
    }
    table.Print(session.out());
  });
}

void AddRollback(CLI::App* policy, Session& session) {
  CLI::App* const verb =
      policy->add_subcommand("rollback", "Makes an earlier version the policy again");
  const auto version = std::make_shared<uint64_t>(0);
  const auto comment = std::make_shared<std::string>();
  verb->add_option("VERSION", *version, "see `holdfast policy history`")
      ->required()
      ->check(CLI::PositiveNumber);
  verb->add_option("--comment", *comment, "why; recorded with the new version");
  verb->footer("Examples:\n  holdfast policy rollback 3 --comment \"4 broke the smarthost\"");
  session.OnRun(verb, [&session, version, comment] {
    admin::PolicyShowRequest show;
    show.set_version(*version);
    admin::PolicyShowResponse earlier;
    admin::PolicyShowResponse current;
    if (!session.Call(&Stub::PolicyShow, show, &earlier)) return;
    if (!session.Call(&Stub::PolicyShow, admin::PolicyShowRequest(), &current)) return;
    admin::PolicyApplyRequest request;
    request.set_policy_text(earlier.policy_text());
    request.set_expected_version(current.version().version());
    request.set_comment(comment->empty() ? format("rollback to version {}", *version) : *comment);
    Apply(session, request, format("version {}", *version));
  });
}

}  // namespace

void AddPolicy(CLI::App& app, Session& session) {
  CLI::App* const policy = app.add_subcommand("policy", "What the cluster does with mail");
  policy->require_subcommand(1);
  policy->footer(
      "Examples:\n"
      "  holdfast policy check policy.textproto\n"
      "  holdfast policy diff policy.textproto\n"
      "  holdfast policy apply policy.textproto --comment \"new smarthost\"");
  AddCheck(policy, session);
  AddDiff(policy, session);
  AddApply(policy, session);
  AddShow(policy, session);
  AddHistory(policy, session);
  AddRollback(policy, session);
}

}  // namespace holdfast::cli
