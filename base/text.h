// base/text.h
// Strings across the Abseil border. Debian's Abseil has its own string_view type, so our code uses
// std::string_view everywhere and converts here. Text is built with fmt (Format), never by +.
// Threads: any.
#pragma once

#include <absl/strings/string_view.h>
#include <fmt/format.h>

#include <string>
#include <string_view>

namespace holdfast {

inline absl::string_view ToAbsl(std::string_view text) { return {text.data(), text.size()}; }
inline std::string_view FromAbsl(absl::string_view text) { return {text.data(), text.size()}; }

// Format("{} of {}", a, b): checked at compile time.
using fmt::format;

}  // namespace holdfast
