// raft/storage/byte_codec.h
// Fixed-width numbers and length-prefixed bytes, for keys (big endian, so that byte order is number
// order) and records (little endian). ByteReader never reads past its end: the first bad read makes
// it fail for good, and the caller asks once, at the end.
// Threads: values. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace holdfast::raft {

inline void AppendBigEndian(uint64_t value, int bytes, std::string& out) {
  for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8) {
    out.push_back(static_cast<char>(value >> shift));
  }
}

inline void AppendLittleEndian(uint64_t value, int bytes, std::string& out) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<char>(value >> (i * 8)));
}

class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : rest_(bytes) {}

  uint64_t BigEndian(int bytes) {
    uint64_t value = 0;
    for (unsigned char c : Take(bytes)) value = value << 8 | c;
    return value;
  }
  uint64_t LittleEndian(int bytes) {
    uint64_t value = 0;
    int shift = 0;
    for (unsigned char c : Take(bytes)) {
      value |= uint64_t{c} << shift;
      shift += 8;
    }
    return value;
  }
  // The next `bytes` bytes; empty when there are fewer (and ok() is false from then on).
  std::string_view Take(uint64_t bytes) {
    if (!ok_ || bytes > rest_.size()) {
      ok_ = false;
      return {};
    }
    std::string_view taken = rest_.substr(0, bytes);
    rest_.remove_prefix(bytes);
    return taken;
  }

  std::string_view rest() const { return rest_; }
  bool ok() const { return ok_; }
  // Everything was read, and nothing was missing.
  bool AtEnd() const { return ok_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace holdfast::raft
