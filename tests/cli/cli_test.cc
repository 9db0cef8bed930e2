// The command line against the real admin service over a real socket; only what is behind the
// service is a fake.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "base/status.h"
#include "node/admin/admin_service.h"
#include "ops/cli/cli.h"
#include "tests/testing/admin/fake_admin_backend.h"

namespace holdfast {
namespace {

using testing::FakeAdminBackend;

struct Ran {
  int code = -1;
  std::string out;
  std::string err;
};

class CliTest : public ::testing::Test {
 protected:
  CliTest() {
    // Below /tmp: a socket's path may have 107 characters only.
    directory_ = "/tmp/holdfast-cliXXXXXX";
    EXPECT_NE(mkdtemp(directory_.data()), nullptr);
    settings_.socket = directory_ + "/admin.sock";
    setenv("HOLDFAST_SOCKET", settings_.socket.c_str(), 1);
    setenv("SUDO_USER", "alice", 1);
    auto service = node::AdminService::Start(settings_, backend_);
    EXPECT_TRUE(service.ok()) << Message(service.status());
    service_ = *std::move(service);
  }
  ~CliTest() override {
    service_.reset();
    const std::string command = "rm -rf '" + directory_ + "'";
    EXPECT_EQ(std::system(command.c_str()), 0);
  }

  Ran Run(const std::vector<std::string>& arguments, const std::string& input = "") {
    std::istringstream in(input);
    std::ostringstream out;
    std::ostringstream err;
    Ran ran;
    ran.code = cli::RunCli(arguments, {in, out, err});
    ran.out = out.str();
    ran.err = err.str();
    return ran;
  }

  std::string File(const std::string& text) {
    const std::string path = directory_ + "/policy";
    std::ofstream(path) << text;
    return path;
  }

  // Ids 01AAAAAAAAAAAA00, ...01, ...
  void AddMessages(int count, admin::MessageState state = admin::DEFERRED) {
    for (int i = 0; i < count; ++i) {
      backend_.AddMessage("01AAAAAAAAAAAA" + std::to_string(10 + i),
                          i % 2 == 0 ? "a@a.example" : "",
                          i % 3 == 0 ? "x@b.example" : "y@c.example", state);
    }
  }

  std::string directory_;
  node::AdminSettings settings_;
  FakeAdminBackend backend_;
  std::unique_ptr<node::AdminService> service_;
};

TEST_F(CliTest, StatusIsAPageForPeople) {
  AddMessages(2);
  const Ran ran = Run({"status"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out,
            "node 1  mail.example.com  version 1.2.3  accepts mail\n"
            "up since 2026-01-02 03:04:05Z, policy version 0\n"
            "\n"
            "queue        2 messages, 2 recipients, 0 held, 0 in doubt\n"
            "sessions     0 in, 0 out\n"
            "since start  12 accepted, 0 delivered, 0 deferred, 0 bounced, 0 expired, 0 rejected\n"
            "disk         5.0 GiB free (reserve 0 B), 0 B stored\n"
            "\n"
            "GROUP  ROLE    LEADER  TERM  COMMITTED  APPLIED  MESSAGES\n"
            "1      leader  node 1     7         99       99         0\n");
  EXPECT_EQ(backend_.calls()[0].actor, "local:alice");
}

TEST_F(CliTest, StatusIsJsonForPrograms) {
  const Ran ran = Run({"status", "--output", "json"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out.substr(0, 50), "{\"node_id\":\"1\",\"hostname\":\"mail.example.com\",\"vers");
  EXPECT_NE(ran.out.find("\"started\":\"2026-01-02T03:04:05Z\""), std::string::npos);
  EXPECT_NE(ran.out.find("\"not_ready_reason\":\"\""), std::string::npos) << "empty fields too";
}

TEST_F(CliTest, QueueSummaryHasARowForEachDestination) {
  AddMessages(4);
  const Ran ran = Run({"queue", "summary"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out,
            "DESTINATION  TOTAL  5  10  10+\n"
            "TOTAL            4  4   0    0\n"
            "b.example        2  2   0    0\n"
            "c.example        2  2   0    0\n");
}

TEST_F(CliTest, DestinationListShowsSharesAndLimits) {
  AddMessages(2);
  const Ran ran = Run({"destination", "list"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out,
            "attempts of node 1\n"
            "\n"
            "DESTINATION  RUNNING  OPEN  WANTED  SHARE  LIMIT  RATE SHARE  RATE LIMIT\n"
            "b.example          2     3      12      6     20        33.2  100 in 60 s\n"
            "c.example          2     3      12      6     20        33.2  100 in 60 s\n");
  EXPECT_EQ(Run({"destination", "list", "--rows", "1001"}).code, 2);
}

TEST_F(CliTest, QueueListShowsTheMessages) {
  AddMessages(2);
  const Ran ran = Run({"queue", "list"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out,
            "ID                STATE     ACCEPTED                 SIZE  OPEN  SENDER       "
            "DESTINATION  LAST STATUS\n"
            "01AAAAAAAAAAAA10  deferred  2026-01-02 03:04:05Z  2.0 KiB   1/1  a@a.example  "
            "b.example    451 4.7.1 try later\n"
            "01AAAAAAAAAAAA11  deferred  2026-01-02 03:04:05Z  2.0 KiB   1/1  <>           "
            "c.example    451 4.7.1 try later\n");
}

TEST_F(CliTest, QueueListFiltersAndSaysWhenThereIsMore) {
  AddMessages(9);
  const Ran filtered =
      Run({"queue", "list", "--destination", "b.example", "--sender", "<>", "--state", "deferred"});
  EXPECT_NE(filtered.out.find("01AAAAAAAAAAAA13"), std::string::npos);
  EXPECT_EQ(filtered.out.find("01AAAAAAAAAAAA10"), std::string::npos);
  const Ran limited = Run({"queue", "list", "--limit", "2"});
  EXPECT_EQ(limited.err, "there are more than 2 (see --limit)\n");
  EXPECT_EQ(limited.code, 0);
  const Ran none = Run({"queue", "list", "--state", "held"});
  EXPECT_EQ(none.err, "no messages\n");
  EXPECT_EQ(none.out, "");
}

TEST_F(CliTest, QueueShowTellsAllAboutOneMessage) {
  AddMessages(1, admin::HELD);
  const Ran ran = Run({"queue", "show", "01aaaaaaaaaaaa10"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(
      ran.out,
      "queue id      01AAAAAAAAAAAA10\n"
      "state         held\n"
      "held because  looked at by hand\n"
      "sender        a@a.example\n"
      "message id    <1@a.example>\n"
      "size          2.0 KiB (2,048 bytes)\n"
      "accepted      2026-01-02 03:04:05Z\n"
      "expires       2026-01-07 03:04:05Z\n"
      "client        192.0.2.1:4711\n"
      "stored in     group 1, index 0\n"
      "\n"
      "RECIPIENT    OUTCOME  ATTEMPTS  LAST  NEXT  REMOTE                        LAST STATUS\n"
      "x@b.example  open            2  -     -     mx1.b.example [192.0.2.2]:25  "
      "451 4.7.1 try later\n");
  const Ran absent = Run({"queue", "show", "01AAAAAAAAAAAA99"});
  EXPECT_EQ(absent.code, 1);
  EXPECT_EQ(absent.err, "holdfast: no message 01AAAAAAAAAAAA99\n");
}

TEST_F(CliTest, ActionsSayExactlyHowManyMessagesTheyTouched) {
  AddMessages(8);  // More than one call touches: the cursor is followed.
  const Ran dry = Run({"queue", "remove", "--all", "--dry-run"});
  EXPECT_EQ(dry.out, "would remove 8 messages (8 recipients); nothing was done\n");
  EXPECT_EQ(backend_.queue_ids().size(), 8u);
  const Ran one = Run({"queue", "bounce", "01AAAAAAAAAAAA10", "--reason", "no such user"});
  EXPECT_EQ(one.out, "bounced 1 message (1 recipient)\n");
  const Ran rest = Run({"queue", "remove", "--all", "--reason", "spam run"});
  EXPECT_EQ(rest.code, 0) << rest.err;
  EXPECT_EQ(rest.out, "removed 7 messages (7 recipients)\n");
  EXPECT_TRUE(backend_.queue_ids().empty());
  EXPECT_EQ(backend_.calls().back().reason, "spam run");
  const Ran nothing = Run({"queue", "retry", "--all"});
  EXPECT_EQ(nothing.code, 0);
  EXPECT_EQ(nothing.out, "due now: 0 messages (0 recipients)\n");
}

TEST_F(CliTest, ReroutingNamesWhereTo) {
  AddMessages(2);
  const Ran ran = Run({"queue", "reroute", "--destination", "b.example", "--to", "Other.Example",
                       "--reason", "moved", "--output", "json"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out,
            "{\"messages_touched\":\"1\",\"recipients_touched\":\"1\",\"queue_ids\":"
            "[\"01AAAAAAAAAAAA10\"],\"refused\":[],\"next_cursor\":\"\",\"late_groups\":[]}\n");
  EXPECT_EQ(backend_.calls().back().verb, "reroute");
  EXPECT_EQ(Run({"queue", "reroute", "--all", "--reason", "x"}).code, 2) << "without --to";
  EXPECT_EQ(Run({"queue", "reroute", "--all", "--to", "a b", "--reason", "x"}).err,
            "holdfast: `a b` is no destination to reroute to\n");
}

TEST_F(CliTest, ActionsInJsonAddUpAllCalls) {
  AddMessages(5);
  const Ran ran = Run({"queue", "hold", "--all", "--reason", "x", "--output", "json"});
  EXPECT_EQ(ran.out,
            "{\"messages_touched\":\"5\",\"recipients_touched\":\"5\",\"queue_ids\":"
            "[\"01AAAAAAAAAAAA10\",\"01AAAAAAAAAAAA11\",\"01AAAAAAAAAAAA12\",\"01AAAAAAAAAAAA13\","
            "\"01AAAAAAAAAAAA14\"],\"refused\":[],\"next_cursor\":\"\",\"late_groups\":[]}\n");
}

TEST_F(CliTest, GroupsThatTheNodeDoesNotKnowAllOfAreNamed) {
  AddMessages(5);
  backend_.SetLateGroup(3, "nobody leads it");
  const Ran verb = Run({"queue", "hold", "--all", "--reason", "x"});
  EXPECT_EQ(verb.code, 1);
  EXPECT_EQ(verb.out, "held 5 messages (5 recipients)\n");
  EXPECT_EQ(verb.err,
            "holdfast: group 3 was left alone, for this node may not know all of its messages: "
            "nobody leads it; ask another node, or try again\n");
  for (const char* list : {"list", "summary"}) {
    const Ran shown = Run({"queue", list});
    EXPECT_EQ(shown.code, 0) << list;
    EXPECT_EQ(shown.err, "note: group 3 as this node had it last: nobody leads it\n") << list;
  }
  EXPECT_NE(Run({"queue", "list", "--output", "json"}).out.find("\"late_groups\":[{\"group\":3"),
            std::string::npos);
}

TEST_F(CliTest, RefusedMessagesAreNamedAndTheCodeSaysSo) {
  AddMessages(1);
  const Ran ran = Run({"queue", "release", "01AAAAAAAAAAAA10", "01AAAAAAAAAAAA99"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_EQ(ran.out, "released 1 message (1 recipient)\n");
  EXPECT_EQ(ran.err, "holdfast: 01AAAAAAAAAAAA99: no such message\n");
}

TEST_F(CliTest, DestructiveVerbsNeedAReasonAndAChoice) {
  AddMessages(1);
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"hold"}, {"remove"}, {"bounce"}, {"reroute", "--to", "c.example"}}) {
    std::vector<std::string> arguments = {"queue"};
    arguments.insert(arguments.end(), words.begin(), words.end());
    arguments.push_back("01AAAAAAAAAAAA10");
    const Ran ran = Run(arguments);
    const std::string& verb = words.front();
    EXPECT_EQ(ran.code, 2) << verb;
    EXPECT_NE(ran.err.find("--reason"), std::string::npos) << ran.err;
  }
  EXPECT_EQ(Run({"queue", "remove", "--reason", "x"}).code, 2) << "nothing chosen";
  EXPECT_EQ(Run({"queue", "remove", "--reason", "x", "--all", "01AAAAAAAAAAAA10"}).code, 2);
  EXPECT_TRUE(backend_.calls().empty()) << "found before anything was asked";
  EXPECT_EQ(backend_.queue_ids().size(), 1u);
}

TEST_F(CliTest, WrongUsageIsTwo) {
  EXPECT_EQ(Run({}).code, 2);
  EXPECT_EQ(Run({"queue"}).code, 2);
  EXPECT_EQ(Run({"frobnicate"}).code, 2);
  EXPECT_EQ(Run({"status", "--output", "xml"}).code, 2);
  EXPECT_EQ(Run({"queue", "show"}).code, 2);
  EXPECT_EQ(Run({"queue", "list", "--older-than", "soon"}).code, 2);
  EXPECT_EQ(Run({"queue", "list", "--state", "lost"}).code, 2);
  EXPECT_EQ(Run({"status", "--timeout", "0"}).code, 2);
  EXPECT_EQ(Run({"status", "--address", "localhost:1"}).code, 2) << "without certificates";
}

TEST_F(CliTest, HelpHasExamplesAtEveryLevel) {
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{},
                                             {"status"},
                                             {"queue"},
                                             {"queue", "summary"},
                                             {"queue", "list"},
                                             {"queue", "show"},
                                             {"queue", "retry"},
                                             {"queue", "hold"},
                                             {"queue", "release"},
                                             {"queue", "remove"},
                                             {"queue", "bounce"},
                                             {"queue", "reroute"},
                                             {"destination"},
                                             {"destination", "list"},
                                             {"policy"},
                                             {"policy", "check"},
                                             {"policy", "diff"},
                                             {"policy", "apply"},
                                             {"policy", "show"},
                                             {"policy", "history"},
                                             {"policy", "rollback"}}) {
    std::vector<std::string> arguments = words;
    arguments.push_back("--help");
    const Ran ran = Run(arguments);
    EXPECT_EQ(ran.code, 0);
    std::string example = "  holdfast";
    for (const std::string& word : words) example += " " + word;
    EXPECT_NE(ran.out.find("Examples:\n"), std::string::npos) << example << ran.out;
    EXPECT_NE(ran.out.find(example), std::string::npos) << ran.out;
  }
}

TEST_F(CliTest, UnreachableIsThree) {
  const Ran absent = Run({"--socket", directory_ + "/none", "status"});
  EXPECT_EQ(absent.code, 3);
  EXPECT_EQ(absent.err, "cannot reach " + directory_ +
                            "/none: No such file or directory (is holdfastd running?)\n");
  EXPECT_EQ(absent.out, "");
  EXPECT_EQ(Run({"status", "--socket", File("no socket")}).code, 3);
  EXPECT_EQ(Run({"status", "--socket", std::string(200, 'x')}).code, 3);
  // Nothing but the default is looked for without option and variable.
  unsetenv("HOLDFAST_SOCKET");
  ASSERT_EQ(chdir(directory_.c_str()), 0);
  EXPECT_EQ(Run({"status"}).err,
            "cannot reach holdfast-data/admin.sock: No such file or directory (is holdfastd "
            "running?)\n");
}

TEST_F(CliTest, AMisspeltCommandIsNamedWithThoseThatExist) {
  const Ran misspelt = Run({"policy", "chekc"});
  EXPECT_EQ(misspelt.code, 2);
  EXPECT_EQ(misspelt.err,
            "holdfast policy has no command `chekc`; there are check, diff, apply, show, "
            "history, rollback\n"
            "Run with --help for more information.\n");
  const std::string top = Run({"nope"}).err;
  EXPECT_TRUE(top.starts_with("holdfast has no command `nope`; there are ")) << top;
  const std::string nothing = Run({"queue"}).err;
  EXPECT_TRUE(nothing.starts_with("holdfast queue wants a command; there are ")) << nothing;
  EXPECT_EQ(Run({"queue", "hold", "--all"}).err,
            "--reason: is required\nRun with --help for more information.\n");
}

TEST_F(CliTest, FailuresSayWhatIsKnown) {
  backend_.FailWith(MakeStatus(absl::StatusCode::kUnavailable, "no majority\x1b[2J"));
  const Ran refused = Run({"status"});
  EXPECT_EQ(refused.code, 1);
  EXPECT_EQ(refused.err, "holdfast: no majority?[2J\n");
  backend_.FailWith(absl::Status(absl::StatusCode::kDeadlineExceeded, ""));
  const Ran unknown = Run({"--timeout", "7", "queue", "retry", "--all"});
  EXPECT_EQ(unknown.code, 1);
  EXPECT_EQ(unknown.err,
            "holdfast: no answer within 7 s, so it is not known what was done; look before you try "
            "again\n");
  // gRPC rounds the time left up on the wire, by hundredths of it; the default would be 30 s.
  EXPECT_LT(backend_.calls().back().time_left, absl::Seconds(8));
}

TEST_F(CliTest, PolicyMistakesAreShownWithTheirPlaces) {
  const std::string path = File("limits { recipients_max: 0 }\nrouts { }\n");
  for (const char* verb : {"check", "diff", "apply"}) {
    const Ran ran = Run({"policy", verb, path});
    EXPECT_EQ(ran.code, 1) << verb;
    EXPECT_EQ(ran.err, path + ":2:1: no field `routs` in Policy; did you mean `routes`?\n" + path +
                           ":1:10: recipients_max must be between 1 and 10000, and is 0\n" +
                           "holdfast: 2 mistakes in the policy\n");
  }
  EXPECT_EQ(Run({"policy", "check", directory_ + "/none"}).err,
            "holdfast: cannot read " + directory_ + "/none: No such file or directory\n");
  EXPECT_EQ(Run({"policy", "check", directory_}).code, 1);
}

TEST_F(CliTest, WhatIsNoTextIsRefusedBeforeTheNodeIsAsked) {
  const std::string path = File("limits { } \xFF\xFE");
  const Ran ran = Run({"policy", "check", path});
  EXPECT_EQ(ran.code, 1);
  EXPECT_EQ(ran.err, "holdfast: " + path + " is not a text file (UTF-8)\n");
  const Ran argument = Run({"queue", "list", "--sender", "b\xFC@a.example"});
  EXPECT_EQ(argument.code, 2);
  EXPECT_EQ(argument.err, "`b?@a.example` is not text in UTF-8\n");
  EXPECT_TRUE(backend_.calls().empty());
}

TEST_F(CliTest, PolicyIsAppliedShownComparedAndRolledBack) {
  EXPECT_EQ(Run({"policy", "check", "-"}, "limits { recipients_max: 5 }").out, "-: no mistakes\n");
  EXPECT_EQ(Run({"policy", "show"}).err, "the default policy: nothing was applied yet\n");
  const std::string first = "# ours\nlimits { recipients_max: 5 }\n";
  EXPECT_EQ(Run({"policy", "apply", File(first), "--comment", "start"}).out, "version 1 applied\n");
  EXPECT_EQ(Run({"policy", "show"}).out, first) << "comments and all";
  const std::string changed = File("limits { recipients_max: 6 }");
  EXPECT_EQ(Run({"policy", "diff", changed}).out,
            "--- version 1\n+++ given\n@@ -1,3 +1,3 @@\n limits {\n-  recipients_max: 5\n"
            "+  recipients_max: 6\n }\n");
  const Ran stale = Run({"policy", "apply", changed, "--expected-version", "7"});
  EXPECT_EQ(stale.code, 1);
  EXPECT_EQ(stale.err, "holdfast: version 1 is the current one, not 7\n");
  EXPECT_EQ(Run({"policy", "apply", changed, "--expected-version", "1"}).code, 0);
  EXPECT_EQ(Run({"policy", "rollback", "1"}).out, "version 3 applied\n");
  EXPECT_EQ(Run({"policy", "show"}).out, first);
  EXPECT_EQ(Run({"policy", "diff", "--from", "1", "--to", "3"}).out, "no difference\n");
  EXPECT_EQ(Run({"policy", "history"}).out,
            "VERSION  APPLIED               BY           COMMENT\n"
            "      3  2026-01-02 03:04:05Z  local:alice  rollback to version 1\n"
            "      2  2026-01-02 03:04:05Z  local:alice\n"
            "      1  2026-01-02 03:04:05Z  local:alice  start\n");
  EXPECT_EQ(Run({"policy", "rollback", "9"}).code, 1);
  EXPECT_EQ(Run({"policy", "diff"}).code, 2);
}

TEST_F(CliTest, ClusterStatusIsTwoTables) {
  const Ran ran = Run({"cluster", "status"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out.substr(0, ran.out.find('\n')),
            "cluster trial, as node 1 sees it (*); feature level 1");
  EXPECT_NE(ran.out.find("1 *   127.0.0.1:7101  mail1.example.com  up           control+1"),
            std::string::npos)
      << ran.out;
  EXPECT_NE(ran.out.find("2     127.0.0.1:7102  -                  never heard"), std::string::npos)
      << ran.out;
  EXPECT_NE(ran.out.find("1      node 1  node 2     7         99         0  1:0  2:away\n"),
            std::string::npos)
      << ran.out;
}

TEST_F(CliTest, ClusterStatusSaysWhatIsLeftToDoOfARaise) {
  const auto first_line = [this] {
    const std::string out = Run({"cluster", "status"}).out;
    return out.substr(0, out.find('\n'));
  };
  const std::string cluster = "cluster trial, as node 1 sees it (*); ";
  backend_.SetLevels({.agreed = 1, .possible = 2, .of_group = 1});
  EXPECT_EQ(first_line(), cluster +
                              "feature level 1 (all nodes speak 2: `holdfast cluster "
                              "raise-level`)");
  backend_.SetLevels({.agreed = 2, .possible = 2, .of_group = 1});
  EXPECT_EQ(first_line(), cluster + "feature level 2 (group 1 is still at 1)");
  backend_.SetLevels({.agreed = 2, .possible = 2, .of_group = 2});
  EXPECT_EQ(first_line(), cluster + "feature level 2");
  const Ran json = Run({"cluster", "status", "--output", "json"});
  EXPECT_NE(json.out.find("\"feature_level\":2,\"feature_level_possible\":2"), std::string::npos)
      << json.out;
  EXPECT_NE(json.out.find("\"state_version\":2"), std::string::npos) << json.out;
}

TEST_F(CliTest, ClusterStatusShowsChecksums) {
  const Ran ran = Run({"cluster", "status", "--checksums"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_NE(ran.out.find("replicas of node 1: "), std::string::npos) << ran.out;
  EXPECT_NE(ran.out.find("5           99     7  1,234  0badcafe\n"), std::string::npos) << ran.out;
  EXPECT_EQ(backend_.calls().back().verb, "cluster checksums");
}

TEST_F(CliTest, NodesAreDrainedAndComeBack) {
  Ran ran = Run({"node", "drain"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out, "drained: the node leads nothing, and nothing is under way\n");
  ran = Run({"node", "drain", "--deadline", "1"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_EQ(ran.err,
            "holdfast: not idle when the time was up: 0 groups led, 3 attempts, 0 sessions; "
            "attempts that are cut will be listed in doubt\n");
  ran = Run({"node", "undrain"});
  EXPECT_EQ(ran.out, "the node takes part again\n");
  EXPECT_EQ(backend_.calls().back().verb, "node undrain");
}

TEST_F(CliTest, ATransferNamesGroupAndNode) {
  Ran ran = Run({"cluster", "transfer", "--group", "3", "--to", "2"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out, "node 2 leads group 3\n");
  ran = Run({"cluster", "transfer", "--to", "2"});
  EXPECT_EQ(ran.code, 2);
  EXPECT_NE(ran.err.find("--group"), std::string::npos);
}

TEST_F(CliTest, ANodeJoinsWithAReason) {
  Ran ran = Run({"cluster", "join", "--node", "4", "--address", "mail4.test:7026", "--replaces",
                 "2", "--reason", "burnt"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out, "node 4 is a voter of all 13 groups\n");
  EXPECT_EQ(backend_.calls().back().verb, "cluster join 4 mail4.test:7026 2 burnt");
  ran = Run({"cluster", "join", "--node", "5", "--address", "mail5.test:7026", "--reason", "disk"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_EQ(
      ran.err,
      "holdfast: not done when the time was up: node 5 votes in 5 of 13 groups, learns in 8. It "
      "goes on by itself: see `holdfast cluster status`\n");
  ran = Run({"cluster", "join", "--node", "5", "--address", "mail5.test:7026"});
  EXPECT_EQ(ran.code, 2);
  EXPECT_NE(ran.err.find("--reason"), std::string::npos);
}

TEST_F(CliTest, ANodeIsRemovedWithAReason) {
  Ran ran = Run({"cluster", "remove", "--node", "2", "--reason", "retired"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out, "node 2 is in no group any more\n");
  EXPECT_EQ(backend_.calls().back().verb, "cluster remove 2 retired");
  ran = Run({"cluster", "remove", "--node", "2"});
  EXPECT_EQ(ran.code, 2);
}

TEST_F(CliTest, TheLevelIsRaisedWithAReason) {
  Ran ran = Run({"cluster", "raise-level", "--reason", "all run 0.2.0"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out, "the cluster is at feature level 2, and was at 1\n");
  EXPECT_EQ(backend_.calls().back().verb, "cluster raise-level 0 all run 0.2.0");
  ran = Run({"cluster", "raise-level", "--to", "3", "--reason", "x", "--output", "json"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out,
            "{\"level\":3,\"before\":1,\"done\":true,\"queue_groups\":12,"
            "\"queue_groups_there\":12}\n");
  EXPECT_EQ(backend_.calls().back().verb, "cluster raise-level 3 x");
  const size_t calls = backend_.calls().size();
  for (const std::vector<std::string>& wrong : std::vector<std::vector<std::string>>{
           {}, {"--to", "2"}, {"--to", "-1", "--reason", "x"}, {"--to", "x", "--reason", "x"}}) {
    std::vector<std::string> arguments = {"cluster", "raise-level"};
    arguments.insert(arguments.end(), wrong.begin(), wrong.end());
    ran = Run(arguments);
    EXPECT_EQ(ran.code, 2);
    EXPECT_NE(ran.err.find("--"), std::string::npos) << ran.err;
  }
  EXPECT_EQ(backend_.calls().size(), calls) << "found before anything was asked";
}

TEST_F(CliTest, ARaiseThatIsNotDoneInTimeSaysHowFarItIs) {
  Ran ran = Run({"cluster", "raise-level", "--to", "9", "--reason", "x"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_EQ(ran.out, "the cluster is at feature level 9, and was at 1\n");
  EXPECT_EQ(ran.err,
            "holdfast: not done when the time was up: 5 of 12 queue groups have followed. It goes "
            "on by itself: see `holdfast cluster status`\n");
  backend_.FailWith(MakeStatus(absl::StatusCode::kFailedPrecondition, "node 2 is not heard"));
  ran = Run({"cluster", "raise-level", "--reason", "x"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_EQ(ran.out, "");
  EXPECT_EQ(ran.err, "holdfast: node 2 is not heard\n");
}

}  // namespace
}  // namespace holdfast
