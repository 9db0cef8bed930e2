#include "smtp/server/listener.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <map>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/status.h"
#include "smtp/stream/tcp_stream.h"

namespace holdfast::smtp {
namespace {

using boost::system::error_code;
using tcp = asio::ip::tcp;

// Out of descriptors or memory: others must end first, and looping at full speed doesn't help.
constexpr std::chrono::milliseconds kAcceptPause{100};
constexpr absl::Duration kTurnAwayTimeout = absl::Seconds(10);

auto NoThrow() { return asio::as_tuple(asio::use_awaitable); }

// The client whose connections are counted together: one IPv4 address, or the /64 that one IPv6
// customer has at least.
std::string ClientKey(const IpAddress& address) {
  if (address.is_v4()) return address.ToString();
  std::array<uint8_t, 16> octets = address.octets();
  std::fill(octets.begin() + 8, octets.end(), 0);
  return IpAddress::V6(octets).ToString();
}

absl::Status BindError(const Endpoint& endpoint, const char* step, const error_code& error) {
  const std::string where = endpoint.ToString();
  if (error == asio::error::address_in_use) {
    return MakeStatus(absl::StatusCode::kAlreadyExists, "{}: address already in use (port {})",
                      where, endpoint.port);
  }
  if (error == asio::error::access_denied) {
    return MakeStatus(absl::StatusCode::kPermissionDenied,
                      "{}: no permission for port {}; ports below 1024 need root or "
                      "CAP_NET_BIND_SERVICE",
                      where, endpoint.port);
  }
  if (error == boost::system::errc::address_not_available) {
    return MakeStatus(absl::StatusCode::kInvalidArgument, "{}: not an address of this machine",
                      where);
  }
  return MakeStatus(absl::StatusCode::kUnavailable, "{}: {}: {}", where, step, error.message());
}

absl::StatusOr<tcp::acceptor> BindPort(asio::any_io_executor executor, const Endpoint& endpoint,
                                       int backlog) {
  tcp::acceptor acceptor(std::move(executor));
  const tcp::endpoint address = ToAsio(endpoint);
  error_code error;
  acceptor.open(address.protocol(), error);
  if (error) return BindError(endpoint, "socket", error);
  acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  // "::" beside "0.0.0.0" must work, so each is its own family alone.
  if (!error && address.protocol() == tcp::v6()) {
    acceptor.set_option(asio::ip::v6_only(true), error);
  }
  if (error) return BindError(endpoint, "setsockopt", error);
  acceptor.bind(address, error);
  if (error) return BindError(endpoint, "bind", error);
  acceptor.listen(backlog, error);
  if (error) return BindError(endpoint, "listen", error);
  return acceptor;
}

}  // namespace

class Listener::Impl : public std::enable_shared_from_this<Listener::Impl> {
 public:
  Impl(std::vector<asio::any_io_executor> executors, const SessionServices& services,
       const ReloadableTls* tls, ListenerOptions options)
      : executors_(std::move(executors)),
        services_(services),
        tls_(tls),
        options_(std::move(options)),
        deadline_(executors_.at(0)) {}

  absl::Status Bind();
  std::vector<Endpoint> bound() const;
  void Start();
  void SetPaused(bool paused);
  void SetTurnedAway(std::string why) {
    MutexLock lock(mutex_);
    turned_away_why_ = std::move(why);
  }
  void Stop(absl::Duration deadline, std::function<void()> done);
  size_t sessions() const {
    MutexLock lock(mutex_);
    return sessions_.size();
  }

 private:
  struct Entry {
    asio::any_io_executor executor;
    std::shared_ptr<Session> session;
  };
  using Sessions = std::map<uint64_t, Entry>;

  // One of the things that must end before Stop() is done: an accept loop, a session, a turning
  // away. Its destructor says so, whichever way the coroutine ended.
  class Running {
   public:
    explicit Running(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {
      MutexLock lock(impl_->mutex_);
      ++impl_->running_;
    }
    Running(Running&&) = default;
    ~Running() {
      if (impl_ != nullptr) impl_->OnEnded();
    }

   private:
    std::shared_ptr<Impl> impl_;
  };

  static asio::awaitable<void> Accept(std::shared_ptr<Impl> self, size_t port, Running running);
  static asio::awaitable<void> RunSession(std::shared_ptr<Impl> self, uint64_t id, std::string key,
                                          std::shared_ptr<Session> session, Running running);
  static asio::awaitable<void> TurnAway(std::shared_ptr<Impl> self, std::unique_ptr<Stream> stream,
                                        std::string line, Running running);

  void Spawn(const asio::any_io_executor& executor, asio::awaitable<void> coroutine);
  void OnAccepted(tcp::socket socket, const asio::any_io_executor& executor, size_t port);
  // The reason to say 421, or nothing and the client is counted.
  std::optional<Reply> Admit(const std::string& key);
  void Release(uint64_t id, const std::string& key);
  void Refuse(tcp::socket socket, const ClientFacts& client, const Reply& reply);
  void OnEnded();
  void ForEachSession(void (Session::*method)());

  const std::vector<asio::any_io_executor> executors_;
  const SessionServices services_;
  const ReloadableTls* const tls_;
  const ListenerOptions options_;

  // Touched on executors_[0] alone once started.
  std::vector<tcp::acceptor> acceptors_;
  asio::steady_timer deadline_;
  size_t next_executor_ = 0;
  uint64_t next_id_ = 0;

  mutable Mutex mutex_;
  Sessions sessions_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, size_t> by_client_ ABSL_GUARDED_BY(mutex_);
  size_t admitted_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t turning_away_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t running_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool paused_ ABSL_GUARDED_BY(mutex_) = false;
  std::string turned_away_why_ ABSL_GUARDED_BY(mutex_);  // Empty: nobody is, for that.
  std::function<void()> done_ ABSL_GUARDED_BY(mutex_);
};

absl::Status Listener::Impl::Bind() {
  std::vector<tcp::acceptor> acceptors;
  for (const ListenPort& port : options_.ports) {
    if (port.tls == ListenTls::kImplicit && (tls_ == nullptr || tls_->Current() == nullptr)) {
      return MakeStatus(absl::StatusCode::kInvalidArgument,
                        "{}: TLS from the first byte needs a certificate",
                        port.endpoint.ToString());
    }
    absl::StatusOr<tcp::acceptor> acceptor =
        BindPort(executors_[0], port.endpoint, options_.backlog);
    if (!acceptor.ok()) return acceptor.status();
    acceptors.push_back(*std::move(acceptor));
  }
  acceptors_ = std::move(acceptors);
  return absl::OkStatus();
}

std::vector<Endpoint> Listener::Impl::bound() const {
  std::vector<Endpoint> endpoints;
  for (const tcp::acceptor& acceptor : acceptors_) {
    error_code error;
    endpoints.push_back(FromAsio(acceptor.local_endpoint(error)));
  }
  return endpoints;
}

void Listener::Impl::Start() {
  for (size_t port = 0; port < acceptors_.size(); ++port) {
    Spawn(executors_[0], Accept(shared_from_this(), port, Running(shared_from_this())));
  }
}

void Listener::Impl::Spawn(const asio::any_io_executor& executor, asio::awaitable<void> coroutine) {
  asio::co_spawn(executor, std::move(coroutine), [](std::exception_ptr failed) {
    if (failed == nullptr) return;
    try {
      std::rethrow_exception(failed);
    } catch (const std::exception& error) {
      Log(LogLevel::kError, "session_failed", {{"status", error.what()}});
    }
  });
}

asio::awaitable<void> Listener::Impl::Accept(std::shared_ptr<Impl> self, size_t port,
                                             Running running) {
  tcp::acceptor& acceptor = self->acceptors_[port];
  asio::steady_timer pause(self->executors_[0]);
  while (acceptor.is_open()) {
    const asio::any_io_executor executor =
        self->executors_[self->next_executor_++ % self->executors_.size()];
    auto [error, socket] = co_await acceptor.async_accept(executor, NoThrow());
    if (!acceptor.is_open()) break;
    if (!error) {
      self->OnAccepted(std::move(socket), executor, port);
      continue;
    }
    if (error == asio::error::connection_aborted) continue;  // It left before we came.
    Log(LogLevel::kWarn, "accept_failed", {{"status", error.message()}});
    pause.expires_after(kAcceptPause);
    auto [waited] = co_await pause.async_wait(NoThrow());
    (void)waited;  // The loop looks at the acceptor.
  }
  (void)running;
}

void Listener::Impl::OnAccepted(tcp::socket socket, const asio::any_io_executor& executor,
                                size_t port) {
  error_code error;
  const tcp::endpoint peer = socket.remote_endpoint(error);
  if (error) return;  // Gone again.
  const ListenPort& listen = options_.ports[port];
  ClientFacts client;
  client.address = FromAsio(peer).address;
  client.port = peer.port();
  client.roles = listen.roles;
  const std::string key = ClientKey(client.address);
  if (const std::optional<Reply> refusal = Admit(key)) {
    return Refuse(std::move(socket), client, *refusal);
  }
  SessionOptions session_options;
  session_options.hostname = options_.hostname;
  session_options.limits = options_.limits;
  if (options_.adjust) options_.adjust(session_options.limits);
  session_options.starttls_offered = listen.tls == ListenTls::kStartTls;
  session_options.implicit_tls = listen.tls == ListenTls::kImplicit;
  std::shared_ptr<const TlsContext> tls;
  if (tls_ != nullptr && listen.tls != ListenTls::kNone) tls = tls_->Current();
  auto session =
      std::make_shared<Session>(MakeTcpStream(std::move(socket), SessionStreamOptions()), services_,
                                session_options, std::move(client), std::move(tls));
  const uint64_t id = ++next_id_;
  bool stopping = false;
  {
    MutexLock lock(mutex_);
    sessions_.emplace(id, Entry{executor, session});
    stopping = stopping_ || paused_;
  }
  // Stop() may have told all others between our admission and now.
  if (stopping) asio::post(executor, [session] { session->Stop(); });
  Spawn(executor,
        RunSession(shared_from_this(), id, key, std::move(session), Running(shared_from_this())));
}

std::optional<Reply> Listener::Impl::Admit(const std::string& key) {
  MutexLock lock(mutex_);
  const auto refuse = [&](std::string_view why) {
    return Reply(421, {4, 3, 2}, format("{} {}; try again later", options_.hostname, why));
  };
  if (stopping_ || paused_) return refuse("Service is shutting down");
  if (!turned_away_why_.empty()) return refuse(turned_away_why_);
  if (admitted_ >= options_.sessions_max) return refuse("Too many connections");
  const auto found = by_client_.find(key);
  if (found != by_client_.end() && found->second >= options_.sessions_per_client_max) {
    return refuse("Too many connections from your address");
  }
  ++by_client_[key];
  ++admitted_;
  return std::nullopt;
}

void Listener::Impl::Release(uint64_t id, const std::string& key) {
  MutexLock lock(mutex_);
  sessions_.erase(id);
  --admitted_;
  const auto found = by_client_.find(key);
  if (--found->second == 0) by_client_.erase(found);
}

asio::awaitable<void> Listener::Impl::RunSession(std::shared_ptr<Impl> self, uint64_t id,
                                                 std::string key, std::shared_ptr<Session> session,
                                                 Running running) {
  absl::Status why;
  try {
    why = co_await session->Run();
  } catch (...) {
    self->Release(id, key);
    throw;
  }
  (void)why;        // The observer heard it.
  session.reset();  // All of it ends before `running` says so.
  self->Release(id, key);
  (void)running;
}

void Listener::Impl::Refuse(tcp::socket socket, const ClientFacts& client, const Reply& reply) {
  {
    MutexLock lock(mutex_);
    if (turning_away_ >= options_.turned_away_max) return;  // The close must be answer enough.
    ++turning_away_;
  }
  services_.observer->OnTurnedAway(client, reply);
  std::unique_ptr<Stream> stream = MakeTcpStream(std::move(socket), SessionStreamOptions());
  const asio::any_io_executor executor = stream->executor();
  Spawn(executor, TurnAway(shared_from_this(), std::move(stream), reply.Format(),
                           Running(shared_from_this())));
}

asio::awaitable<void> Listener::Impl::TurnAway(std::shared_ptr<Impl> self,
                                               std::unique_ptr<Stream> stream, std::string line,
                                               Running running) {
  stream->ExpireAfter(kTurnAwayTimeout);
  absl::Status written = co_await stream->Write(std::move(line));
  if (written.ok()) co_await stream->CloseGracefully(self->options_.limits.linger);
  {
    MutexLock lock(self->mutex_);
    --self->turning_away_;
  }
  (void)running;
}

void Listener::Impl::SetPaused(bool paused) {
  {
    MutexLock lock(mutex_);
    paused_ = paused;
  }
  if (paused) ForEachSession(&Session::Stop);
}

void Listener::Impl::Stop(absl::Duration deadline, std::function<void()> done) {
  {
    MutexLock lock(mutex_);
    HOLDFAST_CHECK(!stopping_) << "Stop() is called once";
    stopping_ = true;
    done_ = std::move(done);
    ++running_;  // Until everybody was told.
  }
  ForEachSession(&Session::Stop);
  asio::post(executors_[0], [self = shared_from_this(), deadline] {
    for (tcp::acceptor& acceptor : self->acceptors_) {
      error_code error;
      acceptor.close(error);
    }
    self->deadline_.expires_after(absl::ToChronoNanoseconds(deadline));
    self->deadline_.async_wait([self](const error_code& error) {
      if (!error) self->ForEachSession(&Session::Abort);
    });
    self->OnEnded();
  });
}

void Listener::Impl::ForEachSession(void (Session::*method)()) {
  Sessions sessions;
  {
    MutexLock lock(mutex_);
    sessions = sessions_;
  }
  for (auto& [id, entry] : sessions) {
    // The last reference may be this one, so it too must go where the session lives.
    asio::post(entry.executor,
               [session = std::move(entry.session), method] { (session.get()->*method)(); });
  }
}

void Listener::Impl::OnEnded() {
  std::function<void()> done;
  {
    MutexLock lock(mutex_);
    --running_;
    if (running_ > 0 || !stopping_) return;
    done = std::exchange(done_, nullptr);
  }
  asio::post(executors_[0], [self = shared_from_this()] { self->deadline_.cancel(); });
  if (done) done();
}

Listener::Listener(std::vector<asio::any_io_executor> executors, const SessionServices& services,
                   const ReloadableTls* tls, ListenerOptions options)
    : impl_(std::make_shared<Impl>(std::move(executors), services, tls, std::move(options))) {}

Listener::~Listener() = default;

absl::Status Listener::Bind() { return impl_->Bind(); }
std::vector<Endpoint> Listener::bound() const { return impl_->bound(); }
void Listener::Start() { impl_->Start(); }
void Listener::Stop(absl::Duration deadline, std::function<void()> done) {
  impl_->Stop(deadline, std::move(done));
}
void Listener::SetPaused(bool paused) { impl_->SetPaused(paused); }
void Listener::SetTurnedAway(std::string why) { impl_->SetTurnedAway(std::move(why)); }
size_t Listener::sessions() const { return impl_->sessions(); }

}  // namespace holdfast::smtp
