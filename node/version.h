// node/version.h
// What this build calls itself, in --version, `holdfast status` and logs.
// Threads: a constant.
#pragma once

namespace holdfast::node {

inline constexpr char kVersion[] = "0.1.0";

}  // namespace holdfast::node
