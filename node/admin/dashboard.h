// node/admin/dashboard.h
// The page that HttpServer serves at `/`: self-contained, and live through /status.json and
// /queue.json, so that it needs nothing from elsewhere and shows only what programs can read too.
// Threads: a constant.
#pragma once

#include <string_view>

namespace holdfast::node {

extern const std::string_view kDashboardPage;

}  // namespace holdfast::node
