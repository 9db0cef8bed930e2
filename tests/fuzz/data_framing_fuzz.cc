// DATA, BDAT content and the encoder. However cut, the content and the facts are the same; nothing
// but CRLF.CRLF ends; what we send holds no bare CR or LF and ends where we end it.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "smtp/protocol/data_framing.h"

namespace holdfast::smtp {
namespace {

struct Decoded {
  std::string content;
  size_t used = 0;
  bool done = false;
  ContentFacts facts;
  bool operator==(const Decoded&) const = default;
};

Decoded Decode(std::string_view bytes, BareLineEnds bare, size_t piece) {
  DataDecoder decoder(bare);
  Decoded decoded;
  while (decoded.used < bytes.size() && !decoder.done()) {
    decoded.used += decoder.Feed(bytes.substr(decoded.used, piece), &decoded.content);
  }
  decoded.done = decoder.done();
  if (decoded.done) decoded.facts = decoder.facts();
  return decoded;
}

void CheckNoBareLineEnd(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n') HOLDFAST_CHECK(i > 0 && text[i - 1] == '\r');
    if (text[i] == '\r') HOLDFAST_CHECK(i + 1 < text.size() && text[i + 1] == '\n');
  }
}

void CheckDecoder(std::string_view bytes, BareLineEnds bare) {
  const Decoded whole = Decode(bytes, bare, bytes.size() + 1);
  const Decoded one = Decode(bytes, bare, 1);
  HOLDFAST_CHECK(whole.done == one.done && whole.used == one.used && whole.facts == one.facts);
  HOLDFAST_CHECK(!whole.done || whole.content == one.content);
  const std::string framed = "\r\n" + std::string(bytes);
  const size_t end = framed.find("\r\n.\r\n");
  HOLDFAST_CHECK(whole.done == (end != std::string::npos));
  if (!whole.done) return;
  HOLDFAST_CHECK(whole.used == end + 3);
  HOLDFAST_CHECK(whole.facts.bytes == whole.content.size());
  if (bare == BareLineEnds::kNormalise) CheckNoBareLineEnd(whole.content);
  if (!whole.facts.bare_cr && !whole.facts.bare_lf) CheckNoBareLineEnd(whole.content);
}

void CheckEncoder(std::string_view content) {
  std::string wire, pieces;
  DataEncoder encoder, bytewise;
  encoder.Encode(content, wire);
  encoder.Finish(wire);
  for (size_t i = 0; i < content.size(); ++i) bytewise.Encode(content.substr(i, 1), pieces);
  bytewise.Finish(pieces);
  HOLDFAST_CHECK(wire == pieces);
  CheckNoBareLineEnd(wire);
  HOLDFAST_CHECK(("\r\n" + wire).find("\r\n.\r\n") == std::string::npos);
  const Decoded back =
      Decode(wire + std::string(DataEncoder::kFinalDot), BareLineEnds::kKeep, 4096);
  HOLDFAST_CHECK(back.done && back.used == wire.size() + 3);
  HOLDFAST_CHECK(!back.facts.bare_cr && !back.facts.bare_lf);
  ContentScanner scanner(BareLineEnds::kNormalise);
  std::string normal;
  scanner.Feed(content, &normal);
  scanner.Finish(&normal);
  if (!normal.empty() && !scanner.facts().ends_with_crlf) normal += "\r\n";
  HOLDFAST_CHECK(back.content == normal);
}

}  // namespace
}  // namespace holdfast::smtp

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  holdfast::smtp::CheckDecoder(bytes, holdfast::smtp::BareLineEnds::kKeep);
  holdfast::smtp::CheckDecoder(bytes, holdfast::smtp::BareLineEnds::kNormalise);
  holdfast::smtp::CheckEncoder(bytes);
  return 0;
}
