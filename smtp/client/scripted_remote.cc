#include "smtp/client/scripted_remote.h"

#include <gtest/gtest.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "smtp/stream/tcp_stream.h"

namespace holdfast::smtp {
namespace {

using asio::ip::tcp;

constexpr absl::Duration kPatience = absl::Seconds(30);

}  // namespace

ScriptedRemote::ScriptedRemote(asio::io_context& io, std::vector<Script> scripts,
                               std::shared_ptr<const TlsContext> tls)
    : acceptor_(io, tcp::endpoint(asio::ip::address_v4::loopback(), 0)),
      scripts_(std::move(scripts)),
      tls_(std::move(tls)),
      endpoint_(FromAsio(acceptor_.local_endpoint())) {
  asio::co_spawn(io, Serve(), asio::detached);
}

asio::awaitable<void> ScriptedRemote::Serve() {
  for (const Script& script : scripts_) {
    auto [error, socket] = co_await acceptor_.async_accept(asio::as_tuple(asio::use_awaitable));
    if (error) co_return;
    asio::co_spawn(acceptor_.get_executor(), Play(MakeTcpStream(std::move(socket)), script),
                   asio::detached);
  }
  boost::system::error_code ignored;
  acceptor_.close(ignored);  // One more connection is one too many: refused.
}

asio::awaitable<void> ScriptedRemote::Play(std::unique_ptr<Stream> stream, Script script) {
  stream->ExpireAfter(kPatience);
  std::string held;
  for (const std::string& step : script) {
    const std::string verb = step.substr(0, step.find(' '));
    const std::string rest = verb.size() < step.size() ? step.substr(verb.size() + 1) : "";
    if (verb == "S:") {
      absl::Status written = co_await stream->Write(std::exchange(held, "") + rest + "\r\n");
      EXPECT_TRUE(written.ok()) << step << ": " << written;
    } else if (verb == "S+") {
      held += rest + "\r\n";
    } else if (verb == "C:") {
      absl::StatusOr<std::string> line = co_await stream->ReadLine(4096);
      EXPECT_TRUE(line.ok()) << step << ": " << line.status();
      if (!line.ok()) co_return;
      EXPECT_EQ(*line, rest + "\r\n");
    } else if (verb == "content") {
      co_await ReadContent(*stream);
    } else if (verb == "quiet") {
      co_await ReadToEnd(*stream);
    } else if (verb == "tls") {
      absl::Status done = co_await stream->StartTlsServer(tls_);
      if (!done.ok()) break;
    } else if (verb == "cut") {
      break;
    } else {
      ADD_FAILURE() << "no such step: " << step;
    }
  }
  stream->Close();
  ++finished_;
}

asio::awaitable<void> ScriptedRemote::ReadContent(Stream& stream) {
  std::string content;
  while (true) {
    absl::StatusOr<std::string> line = co_await stream.ReadLine(1 << 20);
    EXPECT_TRUE(line.ok()) << "in content: " << line.status();
    if (!line.ok() || *line == ".\r\n") break;
    content += *line;
  }
  contents_.push_back(std::move(content));
}

asio::awaitable<void> ScriptedRemote::ReadToEnd(Stream& stream) {
  std::string read;
  while (true) {
    absl::StatusOr<std::string> some = co_await stream.ReadSome(1 << 20);
    if (!some.ok()) break;
    read += *some;
  }
  contents_.push_back(std::move(read));
}

}  // namespace holdfast::smtp
