#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "base/status.h"
#include "ops/bench/commands.h"
#include "ops/bench/load.h"
#include "ops/bench/record_file.h"
#include "ops/bench/report.h"
#include "smtp/stream/asio.h"
#include "smtp/stream/tcp_stream.h"

namespace holdfast::bench {
namespace {

absl::StatusOr<std::vector<smtp::Endpoint>> Resolve(asio::io_context& io,
                                                    const std::vector<HostPort>& targets) {
  asio::ip::tcp::resolver resolver(io);
  std::vector<smtp::Endpoint> endpoints;
  for (const HostPort& target : targets) {
    boost::system::error_code error;
    const auto found = resolver.resolve(target.host, std::to_string(target.port), error);
    if (error || found.empty()) {
      return MakeStatus(absl::StatusCode::kUnavailable, "{}: {}", target.host, error.message());
    }
    endpoints.push_back(smtp::FromAsio(found.begin()->endpoint()));
  }
  return endpoints;
}

// Once a second: the record leaves our memory, and a line tells how it goes.
asio::awaitable<void> Progress(Load& load, const Clock& clock, asio::steady_timer& timer,
                               bool quiet, std::ostream& err) {
  const absl::Duration begin = clock.SinceBoot();
  uint64_t accepted_before = 0;
  while (true) {
    timer.expires_after(std::chrono::seconds(1));
    auto [error] = co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
    if (error) co_return;
    load.FlushRecord();
    if (quiet) continue;
    err << LoadProgress(load, clock.SinceBoot() - begin, accepted_before) << std::endl;
    accepted_before = load.counts().accepted;
  }
}

asio::awaitable<void> WatchSignals(asio::io_context& io, asio::signal_set& signals, Load& load) {
  for (int seen = 0;; ++seen) {
    auto [error, number] = co_await signals.async_wait(asio::as_tuple(asio::use_awaitable));
    (void)number;
    if (error) co_return;
    if (seen > 0) io.stop();
    load.Stop();
  }
}

void Rethrow(std::exception_ptr failed) {
  if (failed != nullptr) std::rethrow_exception(failed);
}

int Fail(const Streams& streams, const absl::Status& status) {
  streams.err << "holdfast-bench: " << Message(status) << "\n";
  return kFailed;
}

}  // namespace

int RunLoad(const LoadOptions& options, const Streams& streams) {
  asio::io_context io(1);
  absl::StatusOr<std::vector<smtp::Endpoint>> targets = Resolve(io, options.targets);
  if (!targets.ok()) return Fail(streams, targets.status());
  std::unique_ptr<RecordWriter> record;
  if (!options.record_file.empty()) {
    absl::StatusOr<std::unique_ptr<RecordWriter>> created =
        RecordWriter::Create(options.record_file);
    if (!created.ok()) return Fail(streams, created.status());
    record = *std::move(created);
  }
  const SystemClock clock;
  Load load(io.get_executor(), options, *std::move(targets), clock, Random::FromKernel(),
            record.get());
  asio::signal_set signals(io, SIGINT, SIGTERM);
  asio::steady_timer second(io);
  asio::co_spawn(io, WatchSignals(io, signals, load), Rethrow);
  asio::co_spawn(io, Progress(load, clock, second, options.quiet, streams.err), Rethrow);
  asio::co_spawn(io, load.Run(), [&](std::exception_ptr failed) {
    // Not by cancelling what waits: a tick that has come already would wait for the next one.
    io.stop();
    Rethrow(failed);
  });
  io.run();
  load.FlushRecord();
  if (!load.record_failure().ok()) return Fail(streams, load.record_failure());
  streams.out << (options.json ? LoadJson(load) : LoadText(load)) << std::flush;
  return load.counts().accepted > 0 ? kDone : kFailed;
}

}  // namespace holdfast::bench
