#include "smtp/protocol/data_framing.h"

#include <algorithm>
#include <cstring>

namespace holdfast::smtp {
namespace {

// memchr in string_view's clothes: libstdc++ calls it from find(), after checks of its own.
size_t Find(std::string_view text, char c, size_t from = 0) { return text.find(c, from); }

bool HasEightBit(std::string_view text) {
  size_t i = 0;
  uint64_t seen = 0;
  for (; i + sizeof(uint64_t) <= text.size(); i += sizeof(uint64_t)) {
    uint64_t word;
    std::memcpy(&word, text.data() + i, sizeof(word));
    seen |= word;
  }
  for (; i < text.size(); ++i) seen |= static_cast<unsigned char>(text[i]);
  return (seen & 0x8080808080808080u) != 0;
}

}  // namespace

// --- ContentScanner ---

void ContentScanner::Feed(std::string_view bytes, std::string* out) {
  if (bytes.empty()) return;
  if (!facts_.nul && Find(bytes, '\0') != std::string_view::npos) facts_.nul = true;
  if (!facts_.eight_bit && HasEightBit(bytes)) facts_.eight_bit = true;
  if (bare_ == BareLineEnds::kKeep) {
    Inspect(bytes);
    Deliver(bytes, out);
  } else {
    Normalise(bytes, out);
  }
}

void ContentScanner::Finish(std::string* out) {
  if (!carriage_return_) return;
  carriage_return_ = false;
  facts_.bare_cr = true;
  if (bare_ == BareLineEnds::kNormalise) Deliver("\r\n", out);
}

// Facts about bytes that are delivered as they are.
void ContentScanner::Inspect(std::string_view bytes) {
  while (!bytes.empty()) {
    if (carriage_return_ && bytes.front() != '\n') {
      facts_.bare_cr = true;
      CountText(1);
    }
    const size_t end = Find(bytes, '\n');
    std::string_view text = bytes.substr(0, end);
    const bool after_cr = text.empty() ? carriage_return_ : text.back() == '\r';
    if (after_cr && !text.empty()) text.remove_suffix(1);
    if (Find(text, '\r') != std::string_view::npos) facts_.bare_cr = true;
    CountText(text.size());
    carriage_return_ = after_cr && end == std::string_view::npos;
    if (end == std::string_view::npos) return;
    if (!after_cr) facts_.bare_lf = true;
    line_bytes_ = 0;
    bytes.remove_prefix(end + 1);
  }
}

// The same, with every line end written as CRLF.
void ContentScanner::Normalise(std::string_view bytes, std::string* out) {
  while (!bytes.empty()) {
    if (carriage_return_) {
      carriage_return_ = false;
      Deliver("\r\n", out);
      line_bytes_ = 0;
      if (bytes.front() == '\n') {
        bytes.remove_prefix(1);
        continue;
      }
      facts_.bare_cr = true;
    }
    const size_t end = Find(bytes, '\n');
    std::string_view text = bytes.substr(0, end);
    const bool after_cr = !text.empty() && text.back() == '\r';
    if (after_cr) text.remove_suffix(1);
    NormaliseText(text, out);
    if (end == std::string_view::npos) {
      carriage_return_ = after_cr;
      return;
    }
    if (!after_cr) facts_.bare_lf = true;
    Deliver("\r\n", out);
    line_bytes_ = 0;
    bytes.remove_prefix(end + 1);
  }
}

// `text` holds no LF; every CR in it is bare.
void ContentScanner::NormaliseText(std::string_view text, std::string* out) {
  for (size_t cr = Find(text, '\r'); cr != std::string_view::npos; cr = Find(text, '\r')) {
    facts_.bare_cr = true;
    CountText(cr);
    Deliver(text.substr(0, cr), out);
    Deliver("\r\n", out);
    line_bytes_ = 0;
    text.remove_prefix(cr + 1);
  }
  CountText(text.size());
  Deliver(text, out);
}

void ContentScanner::Deliver(std::string_view bytes, std::string* out) {
  if (bytes.empty()) return;
  facts_.bytes += bytes.size();
  const char before = bytes.size() > 1 ? bytes[bytes.size() - 2] : last_delivered_;
  last_delivered_ = bytes.back();
  facts_.ends_with_crlf = before == '\r' && last_delivered_ == '\n';
  if (out != nullptr) out->append(bytes);
}

void ContentScanner::CountText(uint64_t bytes) {
  line_bytes_ += bytes;
  facts_.longest_line_bytes = std::max(facts_.longest_line_bytes, line_bytes_);
}

// --- DataDecoder ---

size_t DataDecoder::Feed(std::string_view bytes, std::string* out) {
  size_t used = 0;
  while (used < bytes.size() && state_ != State::kDone) {
    const char next = bytes[used];
    switch (state_) {
      case State::kLineStart:
        if (next == '.') {
          state_ = State::kDot;
          ++used;
        } else {
          used += FeedText(bytes.substr(used), out);
        }
        break;
      case State::kDot:  // The dot itself is dropped, whatever follows.
        if (next == '\r') {
          state_ = State::kDotCr;
          ++used;
        } else {
          state_ = State::kText;
        }
        break;
      case State::kDotCr:
        if (next == '\n') {
          state_ = State::kDone;
          ++used;
          scanner_.Finish(out);
        } else {
          scanner_.Feed("\r", out);
          state_ = State::kTextCr;
        }
        break;
      case State::kText:
      case State::kTextCr:
        used += FeedText(bytes.substr(used), out);
        break;
      case State::kDone:
        break;
    }
  }
  return used;
}

// Passes on text up to the next dot behind CRLF, or all of it. Looking for dots rather than for
// line ends skips through encoded attachments, which have none, at the speed of memchr.
size_t DataDecoder::FeedText(std::string_view bytes, std::string* out) {
  const bool after_cr = state_ == State::kTextCr;
  const auto line_ends_before = [&](size_t i) {
    if (i == 0 || bytes[i - 1] != '\n') return false;
    return i == 1 ? after_cr : bytes[i - 2] == '\r';
  };
  for (size_t dot = Find(bytes, '.'); dot != std::string_view::npos;
       dot = Find(bytes, '.', dot + 1)) {
    if (!line_ends_before(dot)) continue;
    scanner_.Feed(bytes.substr(0, dot), out);
    state_ = State::kLineStart;
    return dot;
  }
  scanner_.Feed(bytes, out);
  if (line_ends_before(bytes.size())) {
    state_ = State::kLineStart;
  } else {
    state_ = bytes.back() == '\r' ? State::kTextCr : State::kText;
  }
  return bytes.size();
}

// --- DataEncoder ---

void DataEncoder::Encode(std::string_view bytes, std::string& out) {
  out.reserve(out.size() + bytes.size() + bytes.size() / 64);
  while (!bytes.empty()) {
    if (carriage_return_) {
      carriage_return_ = false;
      out += "\r\n";
      line_start_ = true;
      if (bytes.front() == '\n') bytes.remove_prefix(1);
      continue;
    }
    const size_t end = Find(bytes, '\n');
    std::string_view text = bytes.substr(0, end);
    const bool after_cr = !text.empty() && text.back() == '\r';
    if (after_cr) text.remove_suffix(1);
    EncodeText(text, out);
    if (end == std::string_view::npos) {
      carriage_return_ = after_cr;
      return;
    }
    out += "\r\n";
    line_start_ = true;
    bytes.remove_prefix(end + 1);
  }
}

// `text` holds no LF; every CR in it is bare.
void DataEncoder::EncodeText(std::string_view text, std::string& out) {
  while (!text.empty()) {
    if (line_start_ && text.front() == '.') out += '.';
    const size_t cr = Find(text, '\r');
    out.append(text.substr(0, cr));
    line_start_ = false;
    if (cr == std::string_view::npos) return;
    out += "\r\n";
    line_start_ = true;
    text.remove_prefix(cr + 1);
  }
}

void DataEncoder::Finish(std::string& out) {
  if (carriage_return_ || !line_start_) out += "\r\n";
  carriage_return_ = false;
  line_start_ = true;
}

}  // namespace holdfast::smtp
