// smtp/stream/asio.h
// The room's short names for Boost.Asio: `asio::awaitable<T>` in our interfaces. Only the two light
// headers; whatever opens sockets includes the rest itself, in its source file.
// Threads: not applicable.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

namespace holdfast::smtp {
namespace asio = boost::asio;
}  // namespace holdfast::smtp
