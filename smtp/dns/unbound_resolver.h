// smtp/dns/unbound_resolver.h
// A Resolver on libunbound: caching, validating where a trust anchor is given, TCP after truncated
// answers, random ids and ports. libunbound works in a thread of its own; answers come back
// through a file descriptor that the io context watches.
// Threads:  owned by the io context of `executor`. Make one per io context; it is not cheap.
// Lifetime: lookups in progress may outlive it and then answer kFailed.
// Limits:   lookups_max questions at a time, RecordLimits per answer. Each lookup ends within
//           `timeout`.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "smtp/dns/resolver.h"
#include "smtp/stream/asio.h"
#include "smtp/stream/ip_address.h"

namespace holdfast::smtp {

struct UnboundResolverOptions {
  // Resolvers to ask. Empty: those of `resolv_conf`.
  std::vector<Endpoint> forwarders;
  std::string resolv_conf = "/etc/resolv.conf";
  // DNSSEC trust anchors in zone file format, such as /usr/share/dns/root.key. Empty: nothing is
  // validated, and no answer is `secure`.
  std::string trust_anchor_file;
  absl::Duration timeout = absl::Seconds(20);
  size_t lookups_max = 1000;
  size_t cache_bytes_max = 32 * 1024 * 1024;
  RecordLimits records;
};

class UnboundResolver final : public Resolver {
 public:
  // kInvalidArgument: a file cannot be read, or libunbound refuses an option.
  static absl::StatusOr<std::unique_ptr<UnboundResolver>> Create(
      asio::any_io_executor executor, const UnboundResolverOptions& options);
  ~UnboundResolver() override;

  asio::awaitable<MxAnswer> LookupMx(std::string name) override;
  asio::awaitable<AddressAnswer> LookupA(std::string name) override;
  asio::awaitable<AddressAnswer> LookupAaaa(std::string name) override;
  asio::awaitable<TextAnswer> LookupTxt(std::string name) override;
  asio::awaitable<TlsaAnswer> LookupTlsa(std::string name) override;
  asio::awaitable<NameAnswer> LookupPtr(IpAddress address) override;

  size_t lookups_in_progress() const;

 private:
  struct Impl;
  explicit UnboundResolver(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace holdfast::smtp
