#include "smtp/dns/dns_records.h"

#include <algorithm>
#include <array>

#include "base/text.h"

namespace holdfast::smtp {
namespace {

constexpr size_t kNameBytesMax = 255;  // RFC 1035 2.3.4
constexpr size_t kLabelBytesMax = 63;

uint8_t ByteAt(std::string_view text, size_t index) { return static_cast<uint8_t>(text[index]); }

// Bytes that real host names have, and the underscore that some have against the rules. A dot
// inside a label would look like two labels.
bool IsNameByte(uint8_t byte) {
  return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
         (byte >= '0' && byte <= '9') || byte == '-' || byte == '_' || byte == '/';
}

}  // namespace

std::string_view ToString(DnsStatus status) {
  switch (status) {
    case DnsStatus::kOk:
      return "ok";
    case DnsStatus::kNxDomain:
      return "no such name";
    case DnsStatus::kNoData:
      return "no such record";
    case DnsStatus::kFailed:
      return "lookup failed";
    case DnsStatus::kBogus:
      return "DNSSEC validation failed";
  }
  return "?";
}

std::optional<std::string> ReadName(std::string_view rdata) {
  std::string name;
  if (rdata.size() > kNameBytesMax) return std::nullopt;
  while (!rdata.empty()) {
    const size_t length = ByteAt(rdata, 0);
    if (length == 0) {
      if (rdata.size() != 1) return std::nullopt;  // Bytes behind the root label.
      return NormalName(name);
    }
    if (length > kLabelBytesMax || rdata.size() < length + 1) return std::nullopt;
    const std::string_view label = rdata.substr(1, length);
    if (!std::all_of(label.begin(), label.end(),
                     [](char c) { return IsNameByte(static_cast<uint8_t>(c)); })) {
      return std::nullopt;
    }
    if (!name.empty()) name += '.';
    name += label;
    rdata.remove_prefix(length + 1);
  }
  return std::nullopt;
}

std::optional<MxRecord> ReadMx(std::string_view rdata) {
  if (rdata.size() < 3) return std::nullopt;
  std::optional<std::string> host = ReadName(rdata.substr(2));
  if (!host) return std::nullopt;
  const auto preference = static_cast<uint16_t>(ByteAt(rdata, 0) << 8 | ByteAt(rdata, 1));
  return MxRecord{preference, *std::move(host)};
}

std::optional<IpAddress> ReadA(std::string_view rdata) {
  if (rdata.size() != 4) return std::nullopt;
  std::array<uint8_t, 4> octets;
  for (size_t i = 0; i < octets.size(); ++i) octets[i] = ByteAt(rdata, i);
  return IpAddress::V4(octets);
}

std::optional<IpAddress> ReadAaaa(std::string_view rdata) {
  if (rdata.size() != 16) return std::nullopt;
  std::array<uint8_t, 16> octets;
  for (size_t i = 0; i < octets.size(); ++i) octets[i] = ByteAt(rdata, i);
  return IpAddress::V6(octets);
}

std::optional<std::string> ReadTxt(std::string_view rdata, const RecordLimits& limits) {
  if (rdata.empty() || rdata.size() > limits.text_bytes_max) return std::nullopt;
  std::string text;
  while (!rdata.empty()) {
    const size_t length = ByteAt(rdata, 0);
    if (rdata.size() < length + 1) return std::nullopt;
    text += rdata.substr(1, length);
    rdata.remove_prefix(length + 1);
  }
  return text;
}

std::optional<TlsaRecord> ReadTlsa(std::string_view rdata) {
  if (rdata.size() < 4) return std::nullopt;
  return TlsaRecord{ByteAt(rdata, 0), ByteAt(rdata, 1), ByteAt(rdata, 2),
                    std::string(rdata.substr(3))};
}

std::string ReverseName(const IpAddress& address) {
  const auto& octets = address.octets();
  if (address.is_v4()) {
    return format("{}.{}.{}.{}.in-addr.arpa", octets[3], octets[2], octets[1], octets[0]);
  }
  std::string name;
  for (size_t i = octets.size(); i-- > 0;) {
    name += format("{:x}.{:x}.", octets[i] & 0x0f, octets[i] >> 4);
  }
  return name + "ip6.arpa";
}

std::string NormalName(std::string_view name) {
  if (!name.empty() && name.back() == '.') name.remove_suffix(1);
  std::string normal(name);
  for (char& byte : normal) {
    if (byte >= 'A' && byte <= 'Z') byte += 'a' - 'A';
  }
  return normal;
}

}  // namespace holdfast::smtp
