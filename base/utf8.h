// base/utf8.h
// UTF-8, found and mended. Rows, commands and every protobuf string hold UTF-8 only; remotes,
// clients and files say what they like, so their words are mended or refused before they get there,
// and cut at characters, never inside one. Threads: any; pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace holdfast {

bool IsUtf8(std::string_view text);
// Every byte that is no part of a character becomes '?'.
std::string MendUtf8(std::string_view text);
// The longest prefix of whole characters with at most `bytes_max` bytes. `text` is UTF-8.
std::string_view CutUtf8(std::string_view text, size_t bytes_max);
// Length of the character at the front of `text`; 0 when there is none (RFC 3629: no overlong
// forms, no surrogates, nothing above U+10FFFF).
size_t Utf8CharacterBytes(std::string_view text);

}  // namespace holdfast
