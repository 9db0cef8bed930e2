#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <cstdio>
#include <exception>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "ops/bench/commands.h"
#include "ops/bench/record_file.h"
#include "ops/bench/report.h"
#include "ops/bench/sink.h"
#include "smtp/stream/asio.h"
#include "smtp/stream/ip_address.h"

namespace holdfast::bench {
namespace {

constexpr absl::Duration kStopDeadline = absl::Seconds(5);

int Fail(const Streams& streams, const absl::Status& status) {
  streams.err << "holdfast-bench: " << Message(status) << "\n";
  return kFailed;
}

// Whole or not at all, for somebody waits for the file to appear.
absl::Status WritePortFile(const std::string& path, uint16_t port) {
  const std::string unfinished = format("{}.new", path);
  std::ofstream file(unfinished);
  file << port << "\n";
  file.close();
  if (!file || std::rename(unfinished.c_str(), path.c_str()) != 0) {
    return MakeStatus(absl::StatusCode::kUnavailable, "{}: can't be written", path);
  }
  return absl::OkStatus();
}

asio::awaitable<void> Progress(const Sink& sink, asio::steady_timer& timer, const bool& stopping,
                               std::ostream& err) {
  uint64_t before = 0;
  while (true) {
    timer.expires_after(std::chrono::seconds(1));
    auto [error] = co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
    // A tick that has come already can't be cancelled.
    if (error || stopping) co_return;
    // An idle sink says nothing.
    const uint64_t arrived = sink.counts().arrived();
    if (arrived != before) err << "(+" << arrived - before << ") " << SinkText(sink.counts());
    err << std::flush;
    before = arrived;
  }
}

void Rethrow(std::exception_ptr failed) {
  if (failed != nullptr) std::rethrow_exception(failed);
}

}  // namespace

int RunSink(const SinkOptions& options, const Streams& streams) {
  const std::optional<smtp::IpAddress> address = smtp::IpAddress::Parse(options.listen.host);
  if (!address) {
    return Fail(streams, MakeStatus(absl::StatusCode::kInvalidArgument,
                                    "--listen: `{}` is not an IP address", options.listen.host));
  }
  std::unique_ptr<RecordWriter> record;
  if (!options.record_file.empty()) {
    absl::StatusOr<std::unique_ptr<RecordWriter>> created =
        RecordWriter::Create(options.record_file);
    if (!created.ok()) return Fail(streams, created.status());
    record = *std::move(created);
  }
  asio::io_context io(1);
  const SystemClock clock;
  asio::signal_set signals(io, SIGINT, SIGTERM);
  asio::steady_timer second(io);
  std::function<void()> stop;
  bool stopping = false;
  Sink sink(io.get_executor(), options, clock, record.get(), [&] { stop(); });
  stop = [&] {
    signals.cancel();
    stopping = true;
    second.cancel();
    sink.Stop(kStopDeadline);
  };
  const absl::StatusOr<smtp::Endpoint> bound = sink.Start({*address, options.listen.port});
  if (!bound.ok()) return Fail(streams, bound.status());
  signals.async_wait([&](const boost::system::error_code& error, int) {
    if (!error) stop();
  });
  if (!options.port_file.empty()) {
    const absl::Status written = WritePortFile(options.port_file, bound->port);
    if (!written.ok()) return Fail(streams, written);
  }
  streams.out << "port " << bound->port << std::endl;
  if (!options.quiet) asio::co_spawn(io, Progress(sink, second, stopping, streams.err), Rethrow);
  io.run();
  if (record != nullptr && sink.record_failure().ok()) {
    const absl::Status flushed = record->Flush();
    if (!flushed.ok()) return Fail(streams, flushed);
  }
  if (!sink.record_failure().ok()) return Fail(streams, sink.record_failure());
  streams.out << (options.json ? SinkJson(sink.counts()) : SinkText(sink.counts())) << std::flush;
  return kDone;
}

}  // namespace holdfast::bench
