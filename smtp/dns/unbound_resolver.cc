#include "smtp/dns/unbound_resolver.h"

#include <unbound.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <set>
#include <utility>

#include "base/check.h"
#include "base/status.h"

namespace holdfast::smtp {
namespace {

constexpr int kClassIn = 1;
constexpr int kTypeA = 1;
constexpr int kTypePtr = 12;
constexpr int kTypeMx = 15;
constexpr int kTypeTxt = 16;
constexpr int kTypeAaaa = 28;
constexpr int kTypeTlsa = 52;
constexpr int kRcodeOk = 0;
constexpr int kRcodeNxDomain = 3;

struct ResultDeleter {
  void operator()(ub_result* result) const { ub_resolve_free(result); }
};
using ResultPtr = std::unique_ptr<ub_result, ResultDeleter>;

struct ContextDeleter {
  void operator()(ub_ctx* context) const { ub_ctx_delete(context); }
};
using ContextPtr = std::unique_ptr<ub_ctx, ContextDeleter>;

absl::Status Refused(std::string_view what, int error) {
  return MakeStatus(absl::StatusCode::kInvalidArgument, "resolver: {}: {}", what,
                    ub_strerror(error));
}

absl::Status SetOption(ub_ctx* context, const char* name, const std::string& value) {
  const int error = ub_ctx_set_option(context, name, value.c_str());
  return error == 0 ? absl::OkStatus() : Refused(name, error);
}

absl::Status SetServers(ub_ctx* context, const UnboundResolverOptions& options) {
  if (options.forwarders.empty()) {
    const int error = ub_ctx_resolvconf(context, options.resolv_conf.c_str());
    return error == 0 ? absl::OkStatus() : Refused(options.resolv_conf, error);
  }
  for (const Endpoint& forwarder : options.forwarders) {
    const std::string text = format("{}@{}", forwarder.address.ToString(), forwarder.port);
    const int error = ub_ctx_set_fwd(context, text.c_str());
    if (error != 0) return Refused(text, error);
  }
  return absl::OkStatus();
}

absl::Status Configure(ub_ctx* context, const UnboundResolverOptions& options) {
  ub_ctx_debugout(context, nullptr);
  int error = ub_ctx_async(context, /*dothread=*/1);
  if (error != 0) return Refused("thread", error);
  HOLDFAST_RETURN_IF_ERROR(SetServers(context, options));
  const bool validate = !options.trust_anchor_file.empty();
  if (validate) {
    error = ub_ctx_add_ta_file(context, options.trust_anchor_file.c_str());
    if (error != 0) return Refused(options.trust_anchor_file, error);
  }
  // Without an anchor the validator has nothing to do, and so is not in the way either.
  HOLDFAST_RETURN_IF_ERROR(
      SetOption(context, "module-config:", validate ? "validator iterator" : "iterator"));
  HOLDFAST_RETURN_IF_ERROR(SetOption(context, "do-not-query-localhost:", "no"));
  // Private networks' reverse zones belong to whoever answers for them here.
  HOLDFAST_RETURN_IF_ERROR(SetOption(context, "unblock-lan-zones:", "yes"));
  // A resolver that was down is asked again soon; libunbound's default is 15 minutes.
  HOLDFAST_RETURN_IF_ERROR(SetOption(context, "infra-host-ttl:", "30"));
  const size_t half = options.cache_bytes_max / 3;  // rrsets take about twice what messages take.
  HOLDFAST_RETURN_IF_ERROR(SetOption(context, "msg-cache-size:", std::to_string(half)));
  HOLDFAST_RETURN_IF_ERROR(SetOption(context, "rrset-cache-size:", std::to_string(2 * half)));
  HOLDFAST_RETURN_IF_ERROR(
      SetOption(context, "num-queries-per-thread:", std::to_string(options.lookups_max)));
  // RFC 6761 6.2 has resolvers answer NXDOMAIN for test. by themselves, RFC 8375 for home.arpa.
  // Where somebody told us whom to ask, that somebody knows: laboratories use these names.
  for (const char* zone : {"test.", "home.arpa."}) {
    error = ub_ctx_zone_add(context, zone, "transparent");
    if (error != 0) return Refused(zone, error);
  }
  return absl::OkStatus();
}

}  // namespace

struct UnboundResolver::Impl : std::enable_shared_from_this<UnboundResolver::Impl> {
  // One question. It lives in the coroutine that asks, and takes itself back if that goes away.
  struct Lookup {
    explicit Lookup(Impl& of) : impl(of), done(of.executor) { impl.lookups.insert(this); }
    ~Lookup() {
      impl.lookups.erase(this);
      if (asked && !answered) ub_cancel(impl.context.get(), id);
      if (impl.lookups.empty()) impl.events.cancel();
    }
    Lookup(const Lookup&) = delete;
    Lookup& operator=(const Lookup&) = delete;

    Impl& impl;
    asio::steady_timer done;
    int id = 0;
    bool asked = false;
    bool answered = false;
    int error = 0;
    ResultPtr result;
  };

  Impl(asio::any_io_executor on, const UnboundResolverOptions& with, ContextPtr made)
      : executor(std::move(on)),
        options(with),
        context(std::move(made)),
        // Asio closes what it watches, and libunbound wants to do that with its own.
        events(executor, dup(ub_fd(context.get()))) {}

  static void OnAnswer(void* data, int error, ub_result* result) {
    auto* lookup = static_cast<Lookup*>(data);
    lookup->answered = true;
    lookup->error = error;
    lookup->result.reset(result);
    lookup->done.cancel();
  }

  void Watch() {
    if (watching || lookups.empty()) return;
    watching = true;
    events.async_wait(asio::posix::stream_descriptor::wait_read,
                      [self = shared_from_this()](const boost::system::error_code&) {
                        self->watching = false;
                        ub_process(self->context.get());  // Runs OnAnswer().
                        self->Watch();
                      });
  }

  template <typename Record>
  using Reader = std::optional<Record> (*)(std::string_view rdata, const RecordLimits& limits);

  template <typename Record>
  asio::awaitable<DnsAnswer<Record>> Ask(std::string name, int type, Reader<Record> read);
  template <typename Record>
  DnsAnswer<Record> Read(const Lookup& lookup, Reader<Record> read) const;

  const asio::any_io_executor executor;
  const UnboundResolverOptions options;
  const ContextPtr context;
  asio::posix::stream_descriptor events;
  std::set<Lookup*> lookups;
  bool watching = false;
  bool closed = false;
};

template <typename Record>
DnsAnswer<Record> UnboundResolver::Impl::Read(const Lookup& lookup, Reader<Record> read) const {
  DnsAnswer<Record> answer;
  if (!lookup.answered || lookup.error != 0 || lookup.result == nullptr) {
    answer.why = lookup.answered ? ub_strerror(lookup.error) : "no answer in time";
    return answer;
  }
  const ub_result& result = *lookup.result;
  if (result.bogus) {
    answer.status = DnsStatus::kBogus;
    answer.why = result.why_bogus != nullptr ? result.why_bogus : "";
    return answer;
  }
  if (result.rcode != kRcodeOk && result.rcode != kRcodeNxDomain) {
    answer.why = format("rcode {}", result.rcode);
    return answer;
  }
  answer.secure = result.secure != 0;
  answer.ttl = absl::Seconds(std::max(0, result.ttl));
  if (result.canonname != nullptr) answer.canonical_name = NormalName(result.canonname);
  if (result.rcode == kRcodeNxDomain || !result.havedata) {
    const bool nx = result.rcode == kRcodeNxDomain || result.nxdomain;
    answer.status = nx ? DnsStatus::kNxDomain : DnsStatus::kNoData;
    return answer;
  }
  for (size_t i = 0; result.data[i] != nullptr; ++i) {
    if (answer.records.size() >= options.records.records_max) break;
    const std::string_view rdata(result.data[i], static_cast<size_t>(result.len[i]));
    std::optional<Record> record = read(rdata, options.records);
    if (record) answer.records.push_back(*std::move(record));
  }
  // Records that are all malformed are not the same as none: nobody may fall back because of them.
  answer.status = answer.records.empty() ? DnsStatus::kFailed : DnsStatus::kOk;
  if (answer.records.empty()) answer.why = "no record that makes sense";
  return answer;
}

template <typename Record>
asio::awaitable<DnsAnswer<Record>> UnboundResolver::Impl::Ask(std::string name, int type,
                                                              Reader<Record> read) {
  const std::shared_ptr<Impl> self = shared_from_this();
  DnsAnswer<Record> failed;
  if (closed || lookups.size() >= options.lookups_max) {
    failed.why = closed ? "the resolver is closed" : "too many lookups at a time";
    co_return failed;
  }
  if (name.empty() || name.find('\0') != std::string::npos) {
    failed.status = DnsStatus::kNxDomain;
    failed.why = "not a name";
    co_return failed;
  }
  Lookup lookup(*this);
  const int error = ub_resolve_async(context.get(), name.c_str(), type, kClassIn, &lookup,
                                     &Impl::OnAnswer, &lookup.id);
  if (error != 0) {
    // A name that does not fit into a question cannot exist.
    if (error == UB_SYNTAX) failed.status = DnsStatus::kNxDomain;
    failed.why = ub_strerror(error);
    co_return failed;
  }
  lookup.asked = true;
  Watch();
  lookup.done.expires_after(absl::ToChronoNanoseconds(options.timeout));
  auto [cancelled] = co_await lookup.done.async_wait(asio::as_tuple(asio::use_awaitable));
  (void)cancelled;  // lookup.answered tells.
  co_return Read<Record>(lookup, read);
}

UnboundResolver::UnboundResolver(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

UnboundResolver::~UnboundResolver() {
  impl_->closed = true;
  for (Impl::Lookup* lookup : impl_->lookups) lookup->done.cancel();
}

absl::StatusOr<std::unique_ptr<UnboundResolver>> UnboundResolver::Create(
    asio::any_io_executor executor, const UnboundResolverOptions& options) {
  ContextPtr context(ub_ctx_create());
  if (context == nullptr) return absl::InternalError("resolver: libunbound gives no context");
  HOLDFAST_RETURN_IF_ERROR(Configure(context.get(), options));
  auto impl = std::make_shared<Impl>(std::move(executor), options, std::move(context));
  return std::unique_ptr<UnboundResolver>(new UnboundResolver(std::move(impl)));
}

size_t UnboundResolver::lookups_in_progress() const { return impl_->lookups.size(); }

// --- the questions ---

namespace {

template <typename Record, std::optional<Record> (*Read)(std::string_view)>
std::optional<Record> WithoutLimits(std::string_view rdata, const RecordLimits&) {
  return Read(rdata);
}

}  // namespace

asio::awaitable<MxAnswer> UnboundResolver::LookupMx(std::string name) {
  return impl_->Ask<MxRecord>(std::move(name), kTypeMx, WithoutLimits<MxRecord, ReadMx>);
}
asio::awaitable<AddressAnswer> UnboundResolver::LookupA(std::string name) {
  return impl_->Ask<IpAddress>(std::move(name), kTypeA, WithoutLimits<IpAddress, ReadA>);
}
asio::awaitable<AddressAnswer> UnboundResolver::LookupAaaa(std::string name) {
  return impl_->Ask<IpAddress>(std::move(name), kTypeAaaa, WithoutLimits<IpAddress, ReadAaaa>);
}
asio::awaitable<TextAnswer> UnboundResolver::LookupTxt(std::string name) {
  return impl_->Ask<std::string>(std::move(name), kTypeTxt, ReadTxt);
}
asio::awaitable<TlsaAnswer> UnboundResolver::LookupTlsa(std::string name) {
  return impl_->Ask<TlsaRecord>(std::move(name), kTypeTlsa, WithoutLimits<TlsaRecord, ReadTlsa>);
}
asio::awaitable<NameAnswer> UnboundResolver::LookupPtr(IpAddress address) {
  return impl_->Ask<std::string>(ReverseName(address), kTypePtr,
                                 WithoutLimits<std::string, ReadName>);
}

}  // namespace holdfast::smtp
