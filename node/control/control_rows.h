// node/control/control_rows.h
// How the control group's rows are written. Keys are words with slashes; numbers in them are eight
// bytes, most significant first, so that they sort. Private to node/control.
// Threads: values and functions of their arguments. Pure.
// Errors:  rows are ours and were checksummed by the store: a malformed one fails a CHECK.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"

namespace holdfast::node {

// Values begin with this number; then numbers of eight bytes and texts behind their length.
inline constexpr char kRowFormat = 1;

inline void AppendNumber(std::string& out, uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift);
}

inline uint64_t NumberAt(std::string_view bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < 8; ++i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

inline std::string NumberedKey(std::string_view prefix, uint64_t number) {
  std::string key(prefix);
  AppendNumber(key, number);
  return key;
}

class RowWriter {
 public:
  RowWriter& Number(uint64_t value) {
    AppendNumber(row_, value);
    return *this;
  }
  RowWriter& Text(std::string_view text) {
    AppendNumber(row_, text.size());
    row_ += text;
    return *this;
  }
  const std::string& row() const { return row_; }

 private:
  std::string row_{kRowFormat};
};

class RowReader {
 public:
  explicit RowReader(std::string_view row) : rest_(row) {
    HOLDFAST_CHECK(!rest_.empty() && rest_[0] == kRowFormat) << "control row of unknown format";
    rest_.remove_prefix(1);
  }
  uint64_t Number() {
    HOLDFAST_CHECK(rest_.size() >= 8) << "control row cut short";
    const uint64_t value = NumberAt(rest_);
    rest_.remove_prefix(8);
    return value;
  }
  std::string Text() {
    const uint64_t size = Number();
    HOLDFAST_CHECK(rest_.size() >= size) << "control row cut short";
    std::string text(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return text;
  }

 private:
  std::string_view rest_;
};

}  // namespace holdfast::node
