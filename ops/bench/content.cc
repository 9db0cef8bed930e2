#include "ops/bench/content.h"

#include <utility>

#include "base/crc32c.h"
#include "base/text.h"
#include "ops/bench/notice.h"

namespace holdfast::bench {
namespace {

constexpr size_t kLineBytes = 64;  // With CRLF; a block is whole lines of it.
constexpr std::string_view kLetters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::string MakeBlock(Random& random) {
  std::string block;
  block.reserve(ContentMaker::kBlockBytes);
  while (block.size() < ContentMaker::kBlockBytes) {
    for (size_t i = 0; i < kLineBytes - 2; ++i) block += kLetters[random.Below(kLetters.size())];
    block += "\r\n";
  }
  return block;
}

// The front of the block, ending as text must: the last two bytes become a line end.
std::string Tail(const std::string& block, size_t bytes) {
  std::string tail = block.substr(0, bytes);
  if (tail.ends_with("\r\n")) return tail;
  tail.resize(bytes - 2);
  // The cut may have left half of a line end.
  if (tail.ends_with('\r')) tail.back() = 'x';
  return tail + "\r\n";
}

}  // namespace

std::string DigestText(uint32_t crc) { return format("{:08x}", crc); }

ContentMaker::ContentMaker(Random random)
    : block_(std::make_shared<const std::string>(MakeBlock(random))) {}

Content ContentMaker::Make(const std::string& id, const std::string& sender,
                           const std::string& recipient, uint64_t bytes, absl::Time now) const {
  const std::string date =
      absl::FormatTime("%a, %d %b %Y %H:%M:%S +0000", now, absl::UTCTimeZone());
  // The id's line is the first: the sink compares content from it on.
  std::string header = format(
      "{}: {}\r\nMessage-ID: <{}@load.test>\r\nDate: {}\r\nFrom: <{}>\r\nTo: <{}>\r\n"
      "Subject: load {}\r\n\r\n",
      kIdField, id, id, date, sender, recipient, id);
  uint64_t left = bytes > header.size() + 2 ? bytes - header.size() : 2;
  Content content;
  content.pieces.push_back(std::make_shared<const std::string>(std::move(header)));
  while (left >= kBlockBytes) {
    // One byte is too few to end a line with.
    if (left == kBlockBytes + 1) break;
    content.pieces.push_back(block_);
    left -= kBlockBytes;
  }
  if (left > kBlockBytes) {
    content.pieces.push_back(std::make_shared<const std::string>(Tail(*block_, kBlockBytes - 1)));
    left = 2;
  }
  if (left > 0) {
    content.pieces.push_back(std::make_shared<const std::string>(Tail(*block_, left)));
  }
  uint32_t crc = 0;
  for (const auto& piece : content.pieces) {
    crc = Crc32c(*piece, crc);
    content.bytes += piece->size();
  }
  content.digest = DigestText(crc);
  return content;
}

}  // namespace holdfast::bench
