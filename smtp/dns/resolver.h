// smtp/dns/resolver.h
// Resolver answers DNS questions as typed values. The interface has the real thing behind it
// (unbound_resolver.h), and fakes in tests and the simulation.
//
// What matters to mail is kept apart: a name that does not exist, a name without such records, and
// not knowing. Who takes the third for one of the first two sends mail to the wrong host or bounces
// what a resolver's bad minute caused.
//
// Threads: a resolver belongs to one io context; its lookups are awaited there.
// Errors:  none are thrown and none is a Status: DnsStatus says everything.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "smtp/dns/dns_records.h"
#include "smtp/stream/asio.h"
#include "smtp/stream/ip_address.h"

namespace holdfast::smtp {

class Resolver {
 public:
  virtual ~Resolver() = default;

  // Names are in ASCII (A-labels), with or without a last dot. CNAMEs have been followed: the
  // records are those of `canonical_name`.
  virtual asio::awaitable<MxAnswer> LookupMx(std::string name) = 0;
  virtual asio::awaitable<AddressAnswer> LookupA(std::string name) = 0;
  virtual asio::awaitable<AddressAnswer> LookupAaaa(std::string name) = 0;
  // Each TXT record as one string, its pieces joined (RFC 7208 3.3).
  virtual asio::awaitable<TextAnswer> LookupTxt(std::string name) = 0;
  virtual asio::awaitable<TlsaAnswer> LookupTlsa(std::string name) = 0;
  // Names that the address claims to have. Nothing is verified.
  virtual asio::awaitable<NameAnswer> LookupPtr(IpAddress address) = 0;
};

}  // namespace holdfast::smtp
