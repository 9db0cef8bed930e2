// smtp/dns/dns_records.h
// DNS answers as typed values, and how record data is read (RFC 1035 3.3, 3596, 6698). Pure.
// Threads: values and pure functions.
// Limits:  RecordLimits. Data that does not parse is skipped, and counted as no record.
#pragma once

#include <absl/time/time.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "smtp/stream/ip_address.h"

namespace holdfast::smtp {

enum class DnsStatus {
  kOk,        // At least one record.
  kNxDomain,  // The name does not exist.
  kNoData,    // The name exists without such records.
  kFailed,    // SERVFAIL, REFUSED, timeout, too many questions at once: not known.
  kBogus,     // DNSSEC validation failed: not known either, and somebody may be lying.
};

std::string_view ToString(DnsStatus status);

template <typename Record>
struct DnsAnswer {
  DnsStatus status = DnsStatus::kFailed;
  bool secure = false;  // Validated by DNSSEC; for kNxDomain and kNoData, the absence was.
  absl::Duration ttl;
  std::string canonical_name;  // Where CNAMEs led; empty without one. No last dot.
  std::vector<Record> records;
  std::string why;  // For people, when status is kFailed or kBogus.
};

struct MxRecord {
  uint16_t preference = 0;
  std::string host;  // Lower case, without last dot; "" is the root: a null MX (RFC 7505).
  bool operator==(const MxRecord&) const = default;
};

struct TlsaRecord {
  uint8_t usage = 0;
  uint8_t selector = 0;
  uint8_t matching_type = 0;
  std::string association;
  bool operator==(const TlsaRecord&) const = default;
};

using MxAnswer = DnsAnswer<MxRecord>;
using AddressAnswer = DnsAnswer<IpAddress>;
using TextAnswer = DnsAnswer<std::string>;
using TlsaAnswer = DnsAnswer<TlsaRecord>;
using NameAnswer = DnsAnswer<std::string>;

struct RecordLimits {
  size_t records_max = 100;           // Of one answer; more are dropped.
  size_t text_bytes_max = 64 * 1024;  // Of one TXT record; a longer one is dropped.
};

// Record data as it stands on the wire, without compression. nullopt when it is malformed, or
// when a name holds bytes that no host name has, such as blanks and controls.
std::optional<MxRecord> ReadMx(std::string_view rdata);
std::optional<IpAddress> ReadA(std::string_view rdata);
std::optional<IpAddress> ReadAaaa(std::string_view rdata);
std::optional<std::string> ReadTxt(std::string_view rdata, const RecordLimits& limits);
std::optional<TlsaRecord> ReadTlsa(std::string_view rdata);
std::optional<std::string> ReadName(std::string_view rdata);

// "4.3.2.1.in-addr.arpa", or the nibbles under ip6.arpa.
std::string ReverseName(const IpAddress& address);
// Lower case, one last dot removed.
std::string NormalName(std::string_view name);

}  // namespace holdfast::smtp
