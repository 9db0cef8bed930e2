#include "smtp/dns/mx_plan.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/text.h"

namespace holdfast::smtp {
namespace {

constexpr EnhancedCode kNoSuchDomain{5, 1, 2};     // Bad destination system address
constexpr EnhancedCode kNullMx{5, 1, 10};          // Recipient address has null MX
constexpr EnhancedCode kUnroutable{5, 4, 4};       // Unable to route
constexpr EnhancedCode kLoop{5, 4, 6};             // Routing loop detected
constexpr EnhancedCode kDirectoryFailed{4, 4, 3};  // Directory server failure

bool IsUnknown(DnsStatus status) {
  return status == DnsStatus::kFailed || status == DnsStatus::kBogus;
}

}  // namespace

const char* DeniedReason(const IpAddress& address) {
  if (address.IsUnspecified()) return "unspecified address";
  if (address.IsLoopback()) return "loopback address";
  if (address.IsLinkLocal()) return "link-local address";
  if (address.IsMulticast()) return "multicast address";
  if (address.IsBroadcast()) return "broadcast or reserved address";
  return nullptr;
}

MxPlan::MxPlan(Route route, const MxPlanOptions& options, uint64_t seed)
    : route_(std::move(route)), options_(options), luck_(seed) {
  switch (route_.kind) {
    case Route::Kind::kMx:
      wants_mx_ = true;
      break;
    case Route::Kind::kHost:
      hosts_.push_back({route_.host, 0});
      break;
    case Route::Kind::kAddress:
      PlanLiteral();
      break;
  }
}

// splitmix64: enough to share load, and the same everywhere for one seed.
uint64_t MxPlan::Draw(uint64_t bound) {
  luck_ += 0x9e3779b97f4a7c15;
  uint64_t mixed = luck_;
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
  return (mixed ^ (mixed >> 31)) % bound;
}

void MxPlan::Fail(bool permanent, int code, EnhancedCode enhanced, std::string text) {
  failure_ = RouteFailure{permanent, code, enhanced, std::move(text)};
  hosts_.clear();
  hops_.clear();
}

void MxPlan::PlanLiteral() {
  const std::string literal = route_.address.ToLiteral();
  if (!route_.is_explicit) {
    if (!options_.allow_address_literals) {
      Fail(true, 550, kNoSuchDomain, format("{}: mail to address literals is not sent", literal));
      return;
    }
    if (const char* denied = DeniedReason(route_.address)) {
      Fail(true, 550, kUnroutable, format("{}: {}", literal, denied));
      return;
    }
    if (options_.own_addresses.count(route_.address) > 0) {
      Fail(true, 554, kLoop, format("{} is this mail system itself", literal));
      return;
    }
  }
  hops_.push_back({literal, Endpoint{route_.address, route_.port}, 0, false});
}

void MxPlan::OnMx(const MxAnswer& answer) {
  HOLDFAST_CHECK(wants_mx_ && hosts_.empty() && !failure_);
  wants_mx_ = false;
  mx_secure_ = answer.secure;
  switch (answer.status) {
    case DnsStatus::kNxDomain:
      Fail(true, 550, kNoSuchDomain, format("{}: no such domain", route_.host));
      return;
    case DnsStatus::kFailed:
    case DnsStatus::kBogus:
      // Not knowing the MX records is not the same as having none: falling back to the domain's
      // address now could hand mail to a web server.
      Fail(false, 451, kDirectoryFailed,
           format("MX of {}: {}{}{}", route_.host, ToString(answer.status),
                  answer.why.empty() ? "" : ": ", answer.why));
      return;
    case DnsStatus::kNoData:
      // RFC 5321 5.1: "If an empty list of MXs is returned, the address is treated as if it was
      // associated with an implicit MX RR, with a preference of 0, pointing to that host."
      implicit_mx_ = true;
      hosts_.push_back({NormalName(route_.host), 0});
      break;
    case DnsStatus::kOk:
      KeepMxHosts(answer.records);
      break;
  }
  if (failure_) return;
  for (const Host& host : std::vector<Host>(hosts_)) {
    if (options_.own_names.count(host.name) == 0 || route_.is_explicit) continue;
    loops_ = true;
    RemoveFrom(host.preference);
    break;  // Sorted: all later ones are gone already.
  }
}

void MxPlan::KeepMxHosts(const std::vector<MxRecord>& records) {
  for (const MxRecord& record : records) {
    if (!record.host.empty()) hosts_.push_back({record.host, record.preference});
  }
  if (hosts_.empty()) {
    // RFC 7505 section 3: "MX 0 ." alone. Beside other records it has no meaning.
    Fail(true, 556, kNullMx, format("{} does not accept mail (null MX)", route_.host));
    return;
  }
  // RFC 5321 5.1: "sorted in order of preference ... If there are multiple destinations with the
  // same preference ... the sender-SMTP MUST randomize them to spread the load".
  for (size_t i = hosts_.size(); i > 1; --i) std::swap(hosts_[i - 1], hosts_[Draw(i)]);
  std::stable_sort(hosts_.begin(), hosts_.end(), [](const Host& left, const Host& right) {
    return left.preference < right.preference;
  });
}

// RFC 5321 5.1: a relay that finds itself in the list discards the records of its own preference
// and of all higher numbers, or two backup hosts would hand mail to each other for ever.
void MxPlan::RemoveFrom(uint16_t preference) {
  std::erase_if(hosts_, [&](const Host& host) { return host.preference >= preference; });
  std::erase_if(hops_, [&](const NextHop& hop) { return hop.preference >= preference; });
  next_host_ = std::min(next_host_, hosts_.size());
}

std::optional<std::string> MxPlan::NextHost() {
  HOLDFAST_CHECK(!wants_mx_);
  if (next_host_ >= std::min(hosts_.size(), options_.hosts_max)) return std::nullopt;
  // Once there are enough addresses the rest of their preference is still looked at, for one of
  // those hosts may turn out to be ourselves.
  const bool same_preference =
      next_host_ > 0 && hosts_[next_host_].preference == hosts_[next_host_ - 1].preference;
  if (hops_.size() >= options_.addresses_max && !same_preference) return std::nullopt;
  return hosts_[next_host_].name;
}

void MxPlan::Shuffle(std::vector<IpAddress>& addresses) {
  for (size_t i = addresses.size(); i > 1; --i) std::swap(addresses[i - 1], addresses[Draw(i)]);
}

void MxPlan::OnAddresses(const AddressAnswer& ipv4, const AddressAnswer& ipv6) {
  HOLDFAST_CHECK(next_host_ < hosts_.size());
  const Host host = hosts_[next_host_++];
  std::vector<IpAddress> by_family[2];
  if (options_.use_ipv6) by_family[0] = ipv6.records;
  if (options_.use_ipv4) by_family[1] = ipv4.records;
  const AddressAnswer* answers[] = {&ipv6, &ipv4};
  for (const AddressAnswer* answer : answers) {
    if (!IsUnknown(answer->status)) continue;
    lookup_failed_ = true;
    lookup_failed_why_ = format("address of {}: {}", host.name, ToString(answer->status));
  }
  if (!route_.is_explicit) {
    for (const std::vector<IpAddress>& addresses : by_family) {
      for (const IpAddress& address : addresses) {
        if (options_.own_addresses.count(address) == 0) continue;
        loops_ = true;
        RemoveFrom(host.preference);
        return;
      }
    }
  }
  Shuffle(by_family[0]);
  Shuffle(by_family[1]);
  const bool secure = (mx_secure_ || route_.kind == Route::Kind::kHost);
  size_t kept = 0;
  // The families take turns, so that one that leads nowhere costs one attempt and not all.
  for (size_t i = 0; i < std::max(by_family[0].size(), by_family[1].size()); ++i) {
    for (size_t family = 0; family < 2; ++family) {
      if (i >= by_family[family].size() || kept >= options_.addresses_per_host_max) continue;
      const IpAddress& address = by_family[family][i];
      const char* denied = route_.is_explicit ? nullptr : DeniedReason(address);
      if (denied != nullptr) {
        denied_why_ = format("{} [{}]: {}", host.name, address.ToString(), denied);
        continue;
      }
      ++kept;
      hops_.push_back({host.name, Endpoint{address, route_.port}, host.preference,
                       secure && answers[family]->secure});
    }
  }
}

RouteFailure MxPlan::NothingUsable() const {
  if (lookup_failed_) return {false, 451, kDirectoryFailed, lookup_failed_why_};
  // Mail for a domain whose best MX we are, and that we have no route for: our own configuration
  // lacks something, yet waiting mends nothing.
  if (loops_) return {true, 554, kLoop, format("mail for {} loops back to us", route_.host)};
  if (!denied_why_.empty()) return {true, 550, kUnroutable, denied_why_};
  if (implicit_mx_) {
    return {true, 550, kUnroutable, format("{} has neither MX nor address", route_.host)};
  }
  if (route_.kind == Route::Kind::kHost) {
    return {true, 550, kUnroutable, format("{} has no address", route_.host)};
  }
  // RFC 5321 5.1: "If MX records are present, but none of them are usable, or the implicit MX is
  // unusable, this situation MUST be reported as an error." No fall-back to the domain's address.
  return {true, 550, kUnroutable, format("no MX host of {} has an address", route_.host)};
}

RoutePlan MxPlan::Finish() {
  HOLDFAST_CHECK(!wants_mx_);
  if (hops_.size() > options_.addresses_max) hops_.resize(options_.addresses_max);
  RoutePlan plan;
  plan.hops = std::move(hops_);
  plan.incomplete = lookup_failed_;
  if (!plan.hops.empty()) return plan;
  plan.failure = failure_ ? *failure_ : NothingUsable();
  if (route_.is_explicit && plan.failure->permanent) {
    // A next hop that somebody mistyped must not bounce the mail of a day.
    plan.failure->permanent = false;
    plan.failure->code = 451;
    plan.failure->enhanced.class_digit = 4;
  }
  return plan;
}

}  // namespace holdfast::smtp
