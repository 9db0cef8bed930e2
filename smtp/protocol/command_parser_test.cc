#include "smtp/protocol/command_parser.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace holdfast::smtp {
namespace {

std::string Parse(std::string_view line) {
  const CommandLine command = ParseCommandLine(line);
  return std::string(command.verb == Verb::kForeign ? "foreign" : VerbName(command.verb)) + "|" +
         std::string(command.arguments);
}

TEST(CommandParserTest, VerbsInAnyCase) {
  EXPECT_EQ(Parse("mAiL from:<a@b>  SIZE=1 "), "MAIL|from:<a@b>  SIZE=1");
  EXPECT_EQ(Parse("QUIT"), "QUIT|");
  EXPECT_EQ(Parse(" noop  x"), "NOOP|x");
  EXPECT_EQ(Parse("StartTLS"), "STARTTLS|");
  EXPECT_EQ(Parse("MAILX"), "|");
  EXPECT_EQ(Parse("MAI"), "|");
  EXPECT_EQ(Parse(""), "|");
}

TEST(CommandParserTest, OtherProtocolsAreRecognised) {  // S12
  for (std::string_view line : {"GET / HTTP/1.1", "post /x", "CONNECT a:25", "Host: a", "PRI * "}) {
    EXPECT_EQ(Parse(line).substr(0, 7), "foreign") << line;
  }
}

TEST(CommandParserTest, PathKeywords) {
  EXPECT_EQ(PathArgument("FROM:<a@b>", "FROM:"), "<a@b>");
  EXPECT_EQ(PathArgument("from:   <a@b>", "FROM:"), "<a@b>");
  EXPECT_EQ(PathArgument("FROM <a@b>", "FROM:"), std::nullopt);
  EXPECT_EQ(PathArgument("FRO", "FROM:"), std::nullopt);
  EXPECT_EQ(PathArgument("TO:", "TO:"), "");
}

TEST(CommandParserTest, BdatSizes) {  // RFC 3030 2
  const auto parse = [](std::string_view text) {
    const BdatArgument argument = ParseBdatArgument(text);
    constexpr std::string_view kKinds[] = {"ok", "junk", "none", "broken"};
    return std::string(kKinds[static_cast<int>(argument.kind)]) + " " +
           std::to_string(argument.bytes) + (argument.last ? " last" : "");
  };
  EXPECT_EQ(parse("12"), "ok 12");
  EXPECT_EQ(parse("0 LAST"), "ok 0 last");
  EXPECT_EQ(parse("12  last"), "ok 12 last");
  EXPECT_EQ(parse("12 NOW"), "junk 12");
  EXPECT_EQ(parse(""), "none 0");
  EXPECT_EQ(parse("-1"), "none 0");
  EXPECT_EQ(parse("LAST"), "none 0");
  EXPECT_EQ(parse("12x"), "broken 0");
  EXPECT_EQ(parse("9223372036854775807"), "ok 9223372036854775807");
  EXPECT_EQ(parse("9223372036854775808"), "broken 0");
  EXPECT_EQ(parse("9999999999999999999999999999999999999999 LAST"), "broken 0");
}

// Lines as "[line]", errors by name; whole and in small pieces.
std::string Lines(std::string_view bytes, size_t line_bytes_max = 20) {
  std::string first;
  for (size_t piece : {bytes.size() + 1, size_t{1}, size_t{3}}) {
    LineAssembler lines(line_bytes_max);
    std::string seen;
    for (size_t at = 0; at < bytes.size();) {
      at += lines.Feed(bytes.substr(at, piece));
      if (lines.state() == LineAssembler::State::kLine) {
        seen += "[" + std::string(lines.line()) + "]";
      } else if (lines.state() == LineAssembler::State::kTooLong) {
        seen += "(long)";
      } else if (lines.state() == LineAssembler::State::kBareLf) {
        seen += "(lf)";
      } else {
        continue;
      }
      lines.Next();
    }
    if (lines.in_line()) seen += "...";
    if (piece > bytes.size()) first = seen;
    EXPECT_EQ(seen, first) << "in pieces of " << piece;
  }
  return first;
}

TEST(LineAssemblerTest, OnlyCrlfEndsAGoodLine) {
  EXPECT_EQ(Lines("a\r\nb\r\n\r\nrest"), "[a][b][]...");
  EXPECT_EQ(Lines("a\nb\r\n"), "(lf)[b]");
  EXPECT_EQ(Lines("\n"), "(lf)");
  EXPECT_EQ(Lines("a\rb\r\n"), "[a\rb]");
}

TEST(LineAssemblerTest, LongLinesAreOneLine) {  // never split at the bound and run as commands
  EXPECT_EQ(Lines(std::string(18, 'x') + "\r\nb\r\n"), "[" + std::string(18, 'x') + "][b]");
  EXPECT_EQ(Lines(std::string(19, 'x') + "\r\nb\r\n"), "(long)[b]");
  EXPECT_EQ(Lines(std::string(5000, 'x') + "\r\nb\r\n"), "(long)[b]");
  EXPECT_EQ(Lines(std::string(5000, 'x') + "\nb\r\n"), "(lf)[b]");
  EXPECT_EQ(Lines(std::string(5000, 'x')), "...");
}

}  // namespace
}  // namespace holdfast::smtp
