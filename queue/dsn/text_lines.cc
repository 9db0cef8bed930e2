#include "queue/dsn/text_lines.h"

#include <algorithm>

#include "base/text.h"
#include "base/utf8.h"

namespace holdfast::queue {
namespace {

constexpr size_t kFoldColumns = 78;
constexpr size_t kHardFoldColumns = 900;
constexpr size_t kWrapColumns = 72;

// How much of `text` goes on a line with room for `room` bytes: up to a blank if there is one.
size_t TakeUpTo(std::string_view text, size_t room, size_t room_hard) {
  if (text.size() <= room) return text.size();
  size_t blank = text.rfind(' ', room);
  if (blank != std::string_view::npos && blank > 0) return blank;
  blank = text.find(' ', room);
  const size_t end = blank == std::string_view::npos ? text.size() : blank;
  return end <= room_hard ? end : CutUtf8(text, room_hard).size();
}

void AppendFolded(std::string_view value, size_t first_used, std::string_view indent,
                  size_t columns, std::string& out) {
  size_t used = first_used;
  while (true) {
    const size_t room = columns > used ? columns - used : 1;
    const size_t take = std::max<size_t>(TakeUpTo(value, room, kHardFoldColumns), 1);
    out.append(value.substr(0, std::min(take, value.size())));
    out.append("\r\n");
    if (take >= value.size()) return;
    value.remove_prefix(take);
    if (!value.empty() && value.front() == ' ') value.remove_prefix(1);
    if (value.empty()) return;
    out.append(indent);
    used = indent.size();
  }
}

}  // namespace

bool IsAscii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

std::string CleanText(std::string_view text, bool utf8) {
  const std::string mended = MendUtf8(text);
  std::string out;
  for (std::string_view rest = mended; !rest.empty();) {
    const size_t size = Utf8CharacterBytes(rest);
    const auto first = static_cast<unsigned char>(rest[0]);
    // C1 controls are two bytes, C2 80 to C2 9F.
    const bool c1 = size == 2 && first == 0xC2 && static_cast<unsigned char>(rest[1]) < 0xA0;
    if (first <= ' ' || first == 0x7F || c1) {
      if (!out.empty() && out.back() != ' ') out.push_back(' ');
    } else if (size == 1 || utf8) {
      out.append(rest.substr(0, size));
    } else {
      out.push_back('?');
    }
    rest.remove_prefix(size);
  }
  if (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

void AppendField(std::string_view name, std::string_view value, std::string& out) {
  out.append(name);
  out.append(": ");
  AppendFolded(value, name.size() + 2, "    ", kFoldColumns, out);
}

void AppendWrapped(std::string_view text, size_t indent, std::string& out) {
  const std::string blanks(indent, ' ');
  out.append(blanks);
  AppendFolded(text, indent, blanks, kWrapColumns, out);
}

ContentShape ShapeOf(std::string_view content) {
  ContentShape shape;
  size_t line = 0;
  for (char c : content) {
    if (static_cast<unsigned char>(c) >= 0x80) shape.has_8bit = true;
    if (c == '\n') {
      line = 0;
    } else if (c != '\r' && ++line > kLineBytesMax) {
      shape.has_long_lines = true;
    }
  }
  return shape;
}

std::string_view HeaderSection(std::string_view content, size_t bytes_max) {
  size_t end = 0;
  while (end < content.size()) {
    const size_t newline = content.find('\n', end);
    const size_t next = newline == std::string_view::npos ? content.size() : newline + 1;
    const std::string_view line = content.substr(end, next - end);
    if (line == "\r\n" || line == "\n" || next > bytes_max) break;
    end = next;
  }
  return content.substr(0, end);
}

void AppendContent(std::string_view content, bool fold, std::string& out) {
  while (!content.empty()) {
    const size_t newline = content.find('\n');
    std::string_view line = content.substr(0, newline);
    content.remove_prefix(newline == std::string_view::npos ? content.size() : newline + 1);
    std::string clean;
    for (char c : line) {
      if (c != '\r') clean.push_back(c);
    }
    for (std::string_view rest = clean; fold && rest.size() > kLineBytesMax;) {
      const std::string_view head = CutUtf8(rest, kHardFoldColumns);
      const size_t take = head.empty() ? kHardFoldColumns : head.size();
      out.append(rest.substr(0, take));
      out.append("\r\n ");
      rest.remove_prefix(take);
      if (rest.size() <= kLineBytesMax - 1) {
        clean = std::string(rest);
        break;
      }
    }
    out.append(clean);
    out.append("\r\n");
  }
}

void AppendQuotedPrintable(std::string_view lines, std::string& out) {
  constexpr size_t kColumns = 76;
  size_t used = 0;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (lines.substr(i, 2) == "\r\n") {
      out.append("\r\n");
      used = 0;
      ++i;
      continue;
    }
    const auto octet = static_cast<unsigned char>(lines[i]);
    const bool blank_at_end = (octet == ' ' || octet == '\t') && lines.substr(i + 1, 2) == "\r\n";
    const bool plain =
        ((octet >= ' ' && octet <= '~' && octet != '=') || octet == '\t') && !blank_at_end;
    const std::string text = plain ? std::string(1, lines[i]) : format("={:02X}", octet);
    // Room for the soft break's own '='.
    if (used + text.size() > kColumns - 1) {
      out.append("=\r\n");
      used = 0;
    }
    out.append(text);
    used += text.size();
  }
}

std::string Utf8AddressInAscii(std::string_view address) {
  std::string out;
  while (!address.empty()) {
    const size_t size = std::max<size_t>(Utf8CharacterBytes(address), 1);
    const auto first = static_cast<unsigned char>(address[0]);
    // The first octet's own bits, then six of each that follows.
    uint32_t point = size == 1 ? first : first & (0x7F >> size);
    for (size_t i = 1; i < size; ++i) {
      point = (point << 6) | (static_cast<unsigned char>(address[i]) & 0x3F);
    }
    if (point > '~' || point == '\\' || point == '+' || point == '=') {
      out += format("\\x{{{:X}}}", point);
    } else {
      out.push_back(static_cast<char>(point));
    }
    address.remove_prefix(size);
  }
  return out;
}

}  // namespace holdfast::queue
