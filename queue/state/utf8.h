// queue/state/utf8.h
// Rows and commands hold UTF-8 only. Remotes and clients say what they like, so their words are
// mended before they are proposed and cut at characters, never inside one.
// Threads: any; pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace holdfast::queue {

bool IsUtf8(std::string_view text);
// Every byte that is no part of a character becomes '?'.
std::string MendUtf8(std::string_view text);
// The longest prefix of whole characters with at most `bytes_max` bytes. `text` is UTF-8.
std::string_view CutUtf8(std::string_view text, size_t bytes_max);
// Length of the character at the front of `text`; 0 when there is none (RFC 3629: no overlong
// forms, no surrogates, nothing above U+10FFFF).
size_t Utf8CharacterBytes(std::string_view text);

}  // namespace holdfast::queue
