#include "smtp/protocol/reply.h"

#include <absl/status/status.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace holdfast::smtp {
namespace {

TEST(ReplyTest, EveryLineHasBothCodes) {
  Reply reply(250, {2, 1, 0}, "one");
  reply.AddLine("two");
  EXPECT_EQ(reply.Format(), "250-2.1.0 one\r\n250 2.1.0 two\r\n");
  EXPECT_EQ(reply.ToString(), "250 2.1.0 one / two");
  EXPECT_EQ(Reply::Plain(220, "host").Format(), "220 host\r\n");
}

TEST(ReplyTest, NeverEchoesControlsAndStaysShort) {
  EXPECT_EQ(Reply(550, {5, 1, 1}, "no \r\n250 ok\x01\x7F\x80 \xC3\xBC\xC2\x85").Format(),
            "550 5.1.1 no ??250 ok??? \xC3\xBC??\r\n");
  EXPECT_EQ(Reply(550, {5, 1, 1}, std::string(2000, 'x')).Format().size(), 512u);
}

TEST(ReplyTest, PrintableDoesNotCutCharacters) {
  EXPECT_EQ(Printable("a\xE2\x82\xAC", 3), "a");
  EXPECT_EQ(Printable("a\xE2\x82\xAC", 4), "a\xE2\x82\xAC");
  EXPECT_EQ(Printable("\xE2\x80\xA8", 9), "???");  // LINE SEPARATOR
  EXPECT_EQ(Printable(std::string_view("\0", 1), 9), "?");
}

TEST(ReplyDeathTest, ClassMustFitTheCode) { EXPECT_DEATH(Reply(550, {4, 1, 1}, "x"), "4.1.1"); }

TEST(ReplyTest, OneTableForSubmissions) {
  const auto say = [](absl::StatusCode code) {
    return ReplyForSubmission(absl::Status(code, "secret"), "ID").ToString();
  };
  EXPECT_EQ(say(absl::StatusCode::kOk), "250 2.0.0 Ok: queued as ID");
  EXPECT_EQ(say(absl::StatusCode::kAlreadyExists), "250 2.0.0 Ok: queued as ID");
  EXPECT_EQ(say(absl::StatusCode::kUnavailable).substr(0, 9), "451 4.3.2");
  EXPECT_EQ(say(absl::StatusCode::kResourceExhausted).substr(0, 9), "452 4.3.1");
  EXPECT_EQ(say(absl::StatusCode::kInvalidArgument).substr(0, 9), "554 5.6.0");
  for (absl::StatusCode code : {absl::StatusCode::kAborted, absl::StatusCode::kFailedPrecondition,
                                absl::StatusCode::kDeadlineExceeded, absl::StatusCode::kInternal,
                                absl::StatusCode::kDataLoss, absl::StatusCode::kCancelled}) {
    EXPECT_EQ(say(code).substr(0, 9), "451 4.3.0");
    EXPECT_EQ(say(code).find("secret"), std::string::npos);
  }
}

TEST(ReplyTest, EnhancedCodes) {
  size_t consumed = 0;
  EXPECT_EQ(ParseEnhancedCode("5.7.1 no", &consumed), (EnhancedCode{5, 7, 1}));
  EXPECT_EQ(consumed, 6u);
  EXPECT_EQ(ParseEnhancedCode("2.999.12"), (EnhancedCode{2, 999, 12}));
  for (std::string_view bad : {"", "5", "5.7", "5.7.", "3.7.1", "5.7.1x", "5.7.1000", "55.1.1",
                               "5..1", "-5.1.1", "5.7.1.2"}) {
    EXPECT_EQ(ParseEnhancedCode(bad), std::nullopt) << bad;
  }
}

// What a parser makes of `bytes`: replies, then "more" or why it is garbage. Whole and bytewise.
std::string Read(std::string_view bytes, const ReplyParserLimits& limits = {}) {
  std::string seen[2];
  for (int bytewise = 0; bytewise < 2; ++bytewise) {
    ReplyParser parser(limits);
    std::string_view rest = bytes;
    for (;;) {
      const size_t used = parser.Feed(bytewise == 1 ? rest.substr(0, 1) : rest);
      rest.remove_prefix(used);
      if (parser.state() == ReplyParser::State::kReply) {
        const ReceivedReply reply = parser.Take();
        seen[bytewise] += "[" + reply.ToString();
        if (reply.enhanced) seen[bytewise] += " =" + reply.enhanced->ToString();
        seen[bytewise] += "]";
      } else if (used == 0 || parser.state() == ReplyParser::State::kGarbage) {
        break;
      }
    }
    seen[bytewise] += parser.state() == ReplyParser::State::kGarbage
                          ? std::string(parser.garbage_reason())
                          : (parser.in_reply() ? "more" : "");
  }
  EXPECT_EQ(seen[0], seen[1]);
  return seen[0];
}

TEST(ReplyParserTest, SingleAndMultiLine) {
  EXPECT_EQ(Read("220 ready\r\n"), "[220 ready]");
  EXPECT_EQ(Read("250-a\r\n250-b\r\n250 c\r\n"), "[250 a / b / c]");
  EXPECT_EQ(Read("250 a\r\n354 b\r\n55"), "[250 a][354 b]more");
}

TEST(ReplyParserTest, ToleratesWhatServersDo) {  // RFC 5321 4.2: the text is optional, too
  EXPECT_EQ(Read("250\r\n"), "[250]");
  EXPECT_EQ(Read("250 \n"), "[250]");
  EXPECT_EQ(Read("250-\r\n250 ok\n"), "[250 / ok]");
  EXPECT_EQ(Read("299 unheard of\r\n"), "[299 unheard of]");
  EXPECT_EQ(Read("250-one\r\n252 two\r\n"), "[252 one / two]");
  EXPECT_EQ(Read("250 a\rb\r\n"), "[250 a?b]");
  EXPECT_EQ(Read("550 \x1B[31m\xFF\r\n"), "[550 ?[31m?]");
  EXPECT_EQ(Read("250 " + std::string(5000, 'x') + "\r\n").size(), 1024u + 6);
}

TEST(ReplyParserTest, EnhancedCodesCountOnlyWithTheirClass) {
  EXPECT_EQ(Read("550 5.1.1 gone\r\n"), "[550 5.1.1 gone =5.1.1]");
  EXPECT_EQ(Read("550-5.1.1 gone\r\n550 for good\r\n"), "[550 5.1.1 gone / for good =5.1.1]");
  EXPECT_EQ(Read("450 5.1.1 odd\r\n"), "[450 5.1.1 odd]");
}

TEST(ReplyParserTest, GarbageEndsIt) {
  EXPECT_EQ(Read("HTTP/1.0 400\r\n"), "a reply must begin with three digits");
  EXPECT_EQ(Read("25\r\n"), "a reply must begin with three digits");
  EXPECT_EQ(Read("\r\n"), "a reply must begin with three digits");
  EXPECT_EQ(Read("199 x\r\n"), "the reply code is out of range");
  EXPECT_EQ(Read("600 x\r\n"), "the reply code is out of range");
  EXPECT_EQ(Read("250x\r\n"), "the reply code must be followed by a space or a hyphen");
  EXPECT_EQ(Read("250-a\r\n550 b\r\n"), "the lines of the reply have codes of different classes");
}

TEST(ReplyParserTest, EndlessRepliesEnd) {  // bounded memory
  std::string lines;
  for (int i = 0; i < 300; ++i) lines += "250-x\r\n";
  EXPECT_EQ(Read(lines), "the reply has too many lines");
  EXPECT_EQ(Read("250 " + std::string(70000, 'x')), "the reply is too long");
}

}  // namespace
}  // namespace holdfast::smtp
