// queue/dsn/text_lines.h
// Bytes that others chose, made fit to stand in a report: cleaned of controls, folded, and with the
// line ends that mail has. Internal to queue/dsn.
// Threads: any; pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace holdfast::queue {

inline constexpr size_t kLineBytesMax = 998;  // RFC 5322 2.1.1, without CRLF.

bool IsAscii(std::string_view text);
// Printable on one line: runs of controls and blanks become one blank; with `utf8` characters stay,
// else everything above ASCII becomes '?'.
std::string CleanText(std::string_view text, bool utf8);
// "Name: value" and CRLF, folded before 78 columns at blanks and anywhere before 900.
void AppendField(std::string_view name, std::string_view value, std::string& out);
// Paragraph text with `indent` blanks before each line, wrapped at 72 columns.
void AppendWrapped(std::string_view text, size_t indent, std::string& out);

struct ContentShape {
  bool has_8bit = false;
  bool has_long_lines = false;
};
ContentShape ShapeOf(std::string_view content);
// The header section without the empty line, cut to whole lines within `bytes_max`.
std::string_view HeaderSection(std::string_view content, size_t bytes_max);
// Lines end in CRLF, stray CR and LF are gone, and lines over the limit are folded when they are
// header lines (`fold`).
void AppendContent(std::string_view content, bool fold, std::string& out);

// Whole lines, each ended by CRLF, as quoted-printable (RFC 2045 6.7): ASCII, at most 76 columns.
void AppendQuotedPrintable(std::string_view lines, std::string& out);
// An address in ASCII, for readers without SMTPUTF8 (utf-8-addr-xtext, RFC 6533 3): characters over
// ASCII, backslash, '+' and '=' become \x{HEX}. Valid UTF-8 without controls is expected.
std::string Utf8AddressInAscii(std::string_view address);

}  // namespace holdfast::queue
