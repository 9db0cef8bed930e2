#include "smtp/protocol/data_framing.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace holdfast::smtp {
namespace {

std::string Flags(const ContentFacts& facts) {
  std::string text = std::to_string(facts.longest_line_bytes);
  if (facts.bare_cr) text += " cr";
  if (facts.bare_lf) text += " lf";
  if (facts.nul) text += " nul";
  if (facts.eight_bit) text += " 8bit";
  if (!facts.ends_with_crlf) text += " open";
  return text;
}

// "content|left over|facts", or "...|unfinished"; the same for every size of pieces.
std::string Decode(std::string_view bytes, BareLineEnds bare = BareLineEnds::kKeep) {
  std::string first;
  for (size_t piece : {bytes.size() + 1, size_t{1}, size_t{2}, size_t{3}, size_t{5}}) {
    DataDecoder decoder(bare);
    std::string content;
    size_t at = 0;
    while (at < bytes.size() && !decoder.done()) {
      const size_t used = decoder.Feed(bytes.substr(at, piece), &content);
      EXPECT_GT(used, 0u);
      at += used;
    }
    std::string result = content + "|";
    result += decoder.done() ? std::string(bytes.substr(at)) + "|" + Flags(decoder.facts())
                             : "unfinished";
    if (decoder.done()) {
      EXPECT_EQ(decoder.facts().bytes, content.size());
    }
    if (first.empty()) first = result;
    EXPECT_EQ(result, first) << "in pieces of " << piece;
  }
  return first;
}

TEST(DataDecoderTest, EndsAtCrlfDotCrlf) {
  EXPECT_EQ(Decode("hi\r\n.\r\nNEXT"), "hi\r\n|NEXT|2");
  EXPECT_EQ(Decode(".\r\nQUIT"), "|QUIT|0 open");
  EXPECT_EQ(Decode("\r\n.\r\n"), "\r\n||0");
  EXPECT_EQ(Decode("a\r\n\r\nb\r\n.\r\n"), "a\r\n\r\nb\r\n||1");
}

TEST(DataDecoderTest, RemovesOneLeadingDot) {  // RFC 5321 4.5.2
  EXPECT_EQ(Decode("..\r\n.\r\n"), ".\r\n||1");
  EXPECT_EQ(Decode(".a\r\n..b\r\n...\r\n.\r\n"), "a\r\n.b\r\n..\r\n||2");
  EXPECT_EQ(Decode("a.\r\n.b.\r\n.\r\n"), "a.\r\nb.\r\n||2");
}

TEST(DataDecoderTest, NoOtherSequenceEndsIt) {  // S1: smuggling
  for (std::string_view fake :
       {"\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r.\r\n", "\r\n.\r", "\r\r\n.\n", "\n\n.\r\n",
        "\r\n.\r\r\n", "\r.\n", "\n.\r", "\r\n\n.\r\n"}) {
    const std::string text = "x" + std::string(fake) + "MAIL FROM:<evil@x>\r\n";
    const std::string result = Decode(text + ".\r\nQUIT");
    const std::string end = result.substr(result.find("MAIL FROM"));
    EXPECT_EQ(end.substr(0, 25), "MAIL FROM:<evil@x>\r\n|QUIT") << fake;
    EXPECT_TRUE(end.find(" cr") != std::string::npos || end.find(" lf") != std::string::npos);
  }
  const std::string_view nul("x\r\n\0.\r\ny\r\n.\r\n", 13);
  EXPECT_EQ(Decode(nul), std::string("x\r\n\0.\r\ny\r\n", 10) + "||2 nul");
  // CR CR LF: the first CR is bare, and the line end that follows is a good one.
  EXPECT_EQ(Decode("x\r\r\n.\r\n"), "x\r\r\n||2 cr");
}

TEST(DataDecoderTest, NormalisesForTrustedClients) {
  EXPECT_EQ(Decode("a\nb\rc\r\n.\r\n", BareLineEnds::kNormalise), "a\r\nb\r\nc\r\n||1 cr lf");
  EXPECT_EQ(Decode("a\n.\nb\r\n.\r\n", BareLineEnds::kNormalise), "a\r\n.\r\nb\r\n||1 lf");
  EXPECT_EQ(Decode("a\r.\rb\r\n.\r\n", BareLineEnds::kNormalise), "a\r\n.\r\nb\r\n||1 cr");
  EXPECT_EQ(Decode("\r\r\n.\r\n", BareLineEnds::kNormalise), "\r\n\r\n||0 cr");
  EXPECT_EQ(Decode(".\rx\r\n.\r\n", BareLineEnds::kNormalise), "\r\nx\r\n||1 cr");
}

TEST(DataDecoderTest, SeesEightBitAndLongLines) {
  EXPECT_EQ(Decode("\xC3\xBC\r\n.\r\n"), "\xC3\xBC\r\n||2 8bit");
  const std::string line(5000, 'x');
  EXPECT_EQ(Decode(line + "\r\nb\r\n.\r\n"), line + "\r\nb\r\n||5000");
  EXPECT_EQ(Decode(line), line + "|unfinished");
}

TEST(DataDecoderTest, WorksWithoutOutput) {
  DataDecoder decoder;
  EXPECT_EQ(decoder.Feed("..a\r\n.\r\nrest", nullptr), 8u);
  EXPECT_TRUE(decoder.done());
  EXPECT_EQ(decoder.facts().bytes, 4u);
}

TEST(ContentScannerTest, HeldBackCarriageReturnIsDeliveredAtTheEnd) {
  for (BareLineEnds bare : {BareLineEnds::kKeep, BareLineEnds::kNormalise}) {
    ContentScanner scanner(bare);
    std::string content;
    scanner.Feed("a\r", &content);
    scanner.Finish(&content);
    scanner.Finish(&content);
    EXPECT_EQ(content, bare == BareLineEnds::kKeep ? "a\r" : "a\r\n");
    EXPECT_TRUE(scanner.facts().bare_cr);
    EXPECT_EQ(scanner.facts().bytes, content.size());
  }
}

TEST(ChunkCounterTest, TakesExactlyItsBytes) {
  ChunkCounter chunk;
  EXPECT_TRUE(chunk.done());
  chunk.Begin(5);
  EXPECT_EQ(chunk.Take(3), 3u);
  EXPECT_EQ(chunk.Take(10), 2u);
  EXPECT_TRUE(chunk.done());
  EXPECT_EQ(chunk.Take(10), 0u);
}

std::string Encode(std::string_view content) {
  std::string first;
  for (size_t piece : {content.size() + 1, size_t{1}, size_t{2}, size_t{3}}) {
    DataEncoder encoder;
    std::string wire;
    for (size_t at = 0; at < content.size(); at += piece) {
      encoder.Encode(content.substr(at, piece), wire);
    }
    encoder.Finish(wire);
    if (piece > content.size()) first = wire;
    EXPECT_EQ(wire, first) << "in pieces of " << piece;
  }
  return first;
}

TEST(DataEncoderTest, StuffsDotsAndCompletesLines) {
  EXPECT_EQ(Encode("a\r\n.\r\n..b\r\nc.\r\n"), "a\r\n..\r\n...b\r\nc.\r\n");
  EXPECT_EQ(Encode(".a"), "..a\r\n");
  EXPECT_EQ(Encode(""), "");
  EXPECT_EQ(Encode("\r\n"), "\r\n");
}

TEST(DataEncoderTest, NoBareLineEndLeaves) {
  EXPECT_EQ(Encode("a\nb\rc"), "a\r\nb\r\nc\r\n");
  EXPECT_EQ(Encode("a\n.\n.\r.\r"), "a\r\n..\r\n..\r\n..\r\n");
  EXPECT_EQ(Encode("a\r\r\n"), "a\r\n\r\n");
}

TEST(DataEncoderTest, DecoderReadsBackWhatWasEncoded) {
  for (std::string_view content : {"", "x\r\n", ".\r\n", "..\r\n.x\r\n", "a\r\n\r\n.\r\n", ".."}) {
    std::string wire;
    DataEncoder encoder;
    encoder.Encode(content, wire);
    encoder.Finish(wire);
    wire += DataEncoder::kFinalDot;
    std::string expected(content);
    if (!content.empty() && !content.ends_with("\r\n")) expected += "\r\n";
    EXPECT_EQ(Decode(wire).substr(0, expected.size() + 2), expected + "||");
  }
}

}  // namespace
}  // namespace holdfast::smtp
