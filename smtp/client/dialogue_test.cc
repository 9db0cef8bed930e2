// Runs every file in dialogues/ on ClientCore. The files say what they mean: dialogues/README.md.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "base/text.h"
#include "smtp/client/client_core.h"
#include "smtp/protocol/reply.h"

namespace holdfast::smtp {
namespace {

constexpr std::string_view kFolder = "smtp/client/dialogues";

using Words = std::map<std::string, std::string>;

Words ParseWords(const std::string& text) {
  std::istringstream in(text);
  Words words;
  std::string word;
  while (in >> word) {
    const size_t equals = word.find('=');
    const std::string value = equals == std::string::npos ? "yes" : word.substr(equals + 1);
    words[word.substr(0, equals)] = value;
  }
  return words;
}

std::vector<std::string> Split(const std::string& text, char by) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, by);) parts.push_back(part);
  return parts;
}

ClientCoreOptions MakeOptions(const Words& words) {
  ClientCoreOptions options;
  options.ehlo_name = "client.example";
  for (const auto& [key, value] : words) {
    if (key == "tls") {
      static const std::map<std::string, TlsPolicy> kPolicies = {{"none", TlsPolicy::kNone},
                                                                 {"may", TlsPolicy::kMay},
                                                                 {"encrypt", TlsPolicy::kEncrypt},
                                                                 {"verify", TlsPolicy::kVerify}};
      options.tls = kPolicies.at(value);
    } else if (key == "helo_only") {
      options.helo_only = true;
    } else if (key == "recipients_max") {
      options.recipients_max = std::stoul(value);
    } else if (key == "messages_max") {
      options.messages_max = std::stoul(value);
    } else if (key == "pipelined_commands_max") {
      options.pipelined_commands_max = std::stoul(value);
    } else if (key == "user") {
      options.credentials = ClientCredentials{value, words.at("password")};
    } else if (key != "password") {
      ADD_FAILURE() << "no such option: " << key;
    }
  }
  return options;
}

Transaction MakeTransaction(const Words& words) {
  Transaction transaction;
  std::optional<NotifySet> notify;
  std::optional<std::string> orcpt;
  for (const auto& [key, value] : words) {
    if (key == "from") transaction.reverse_path = value == "<>" ? "" : value;
    if (key == "size") transaction.content_bytes = std::stoull(value);
    if (key == "body") transaction.body = value == "8" ? BodyType::k8BitMime : BodyType::k7Bit;
    if (key == "ret") transaction.ret = value == "full" ? DsnReturn::kFull : DsnReturn::kHeaders;
    if (key == "envid") transaction.envid = value;
    if (key == "smtputf8") transaction.smtputf8 = true;
    if (key == "8bit") transaction.needs_8bit = true;
    if (key == "utf8_headers") transaction.utf8_headers = true;
    if (key == "orcpt") orcpt = value;
    if (key == "notify") {
      notify = NotifySet{};
      for (const std::string& word : Split(value, ',')) {
        if (word == "never") notify->never = true;
        if (word == "success") notify->success = true;
        if (word == "failure") notify->failure = true;
        if (word == "delay") notify->delay = true;
      }
    }
  }
  for (const std::string& mailbox : Split(words.at("to"), ',')) {
    transaction.recipients.push_back({mailbox, notify, orcpt});
  }
  return transaction;
}

class Runner {
 public:
  explicit Runner(size_t chunk) : chunk_(chunk) {}

  void Run(const std::string& file) {
    std::ifstream in(file);
    ASSERT_TRUE(in.good()) << file;
    std::string line;
    for (int number = 1; std::getline(in, line); ++number) {
      SCOPED_TRACE(format("{}:{}: {}", file, number, line));
      if (line.empty() || line[0] == '#') continue;
      Do(line);
      if (testing::Test::HasFailure()) return;
    }
    EXPECT_EQ(sent_, "") << "sent at the end of the file";
    EXPECT_TRUE(results_.empty()) << "results that the file does not mention: " << results_.front();
    EXPECT_TRUE(checked_) << "the file checks nothing";
  }

 private:
  using Next = ClientStep::Next;

  ClientCore& core() {
    if (!core_) {
      core_.emplace(options_);
      Take(core_->Begin());
    }
    return *core_;
  }

  void Take(ClientStep step) {
    sent_ += step.send;
    next_ = step.next;
    if (next_ == Next::kDone) {
      TransactionResult result = core_->TakeResult();
      for (size_t i = 0; i < result.recipients.size(); ++i) {
        const RecipientOutcome& outcome = result.recipients[i];
        results_.push_back(format("{} {}{} {}: {}", mailboxes_.at(i), ToString(outcome.outcome),
                                  outcome.retry_now ? " (now)" : "", ToString(outcome.phase),
                                  outcome.answer.ToString()));
      }
      results_.push_back(result.reusable ? "reusable" : "closed");
    } else if (next_ == Next::kFailed) {
      const SessionFailure& failure = core_->failure();
      results_.push_back(format("{} {}: {}{}{}", ToString(failure.outcome), ToString(failure.phase),
                                failure.answer.ToString(),
                                failure.retry_without_tls ? " (again without TLS)" : "",
                                failure.retry_with_helo ? " (again with HELO)" : ""));
    }
  }

  void Do(const std::string& line) {
    const std::string verb = line.substr(0, line.find(' '));
    const std::string rest = verb.size() < line.size() ? line.substr(verb.size() + 1) : "";
    if (verb == "@options") {
      ASSERT_FALSE(core_);
      options_ = MakeOptions(ParseWords(rest));
    } else if (verb == "S:") {
      core();
      ASSERT_EQ(sent_, "") << "sent before this reply";
      Feed(rest + "\r\n");
    } else if (verb == "C:") {
      core();
      const size_t end = sent_.find("\r\n");
      ASSERT_NE(end, std::string::npos) << "nothing more was sent";
      EXPECT_EQ(sent_.substr(0, end), rest);
      sent_.erase(0, end + 2);
      checked_ = true;
    } else if (verb == "R:" || verb == "F:") {
      ASSERT_FALSE(results_.empty()) << "no result yet";
      EXPECT_EQ(results_.front(), rest);
      results_.erase(results_.begin());
      checked_ = true;
    } else {
      DoSteering(verb, rest);
    }
  }

  void DoSteering(const std::string& verb, const std::string& rest) {
    if (verb == "@handshake") {
      ASSERT_EQ(next_, Next::kHandshake);
      Take(core().OnTls());
    } else if (verb == "@ready") {
      ASSERT_EQ(next_, Next::kReady);
    } else if (verb == "@start") {
      Transaction transaction = MakeTransaction(ParseWords(rest));
      mailboxes_.clear();
      for (const auto& recipient : transaction.recipients) mailboxes_.push_back(recipient.mailbox);
      Take(core().Start(std::move(transaction)));
    } else if (verb == "@content") {
      ASSERT_EQ(next_, Next::kContent);
      Take(core().OnContentSent());
    } else if (verb == "@not-sent") {
      Take(core().OnNotSent(absl::AbortedError(ToAbsl(rest))));
    } else if (verb == "@lost") {
      Take(core().OnLost(rest));
    } else if (verb == "@quit") {
      Take(core().Quit());
    } else {
      FAIL() << "no such verb: " << verb;
    }
  }

  void Feed(std::string bytes) {
    while (!bytes.empty()) {
      std::string_view piece = std::string_view(bytes).substr(0, chunk_);
      const size_t used = parser_.Feed(piece);
      bytes.erase(0, used);
      if (parser_.state() == ReplyParser::State::kGarbage) {
        Take(core_->OnLost(parser_.garbage_reason()));
        return;
      }
      if (parser_.state() == ReplyParser::State::kReply) {
        ASSERT_EQ(next_, Next::kReply) << "a reply that nobody waits for";
        Take(core_->OnReply(parser_.Take()));
      }
    }
  }

  const size_t chunk_;
  ClientCoreOptions options_ = MakeOptions({});
  std::optional<ClientCore> core_;
  ReplyParser parser_;
  Next next_ = Next::kReply;
  std::string sent_;
  std::vector<std::string> mailboxes_;
  std::vector<std::string> results_;
  bool checked_ = false;
};

class DialogueTest : public testing::TestWithParam<std::string> {};

TEST_P(DialogueTest, IsSpokenExactly) {
  Runner(1'000'000).Run(GetParam());
  if (!HasFailure()) Runner(1).Run(GetParam());
}

std::vector<std::string> Files() {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
    if (entry.path().extension() == ".txt") files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::string NameOf(const testing::TestParamInfo<std::string>& info) {
  return std::filesystem::path(info.param).stem().string();
}

INSTANTIATE_TEST_SUITE_P(Remote, DialogueTest, testing::ValuesIn(Files()), NameOf);

}  // namespace
}  // namespace holdfast::smtp
