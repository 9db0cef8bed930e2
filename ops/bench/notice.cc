#include "ops/bench/notice.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "smtp/protocol/address.h"

namespace holdfast::bench {
namespace {

using smtp::EqualsIgnoreCase;
using smtp::ToLowerAscii;

bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

std::string_view Trim(std::string_view text) {
  while (!text.empty() && IsBlank(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsBlank(text.back())) text.remove_suffix(1);
  return text;
}

// Header section and body of an entity.
std::pair<std::string_view, std::string_view> Halves(std::string_view entity) {
  // A part may have no fields at all, and a notice no blank line more.
  if (entity.starts_with("\r\n")) return {std::string_view(), entity.substr(2)};
  const size_t end = entity.find("\r\n\r\n");
  if (end == std::string_view::npos) return {entity, std::string_view()};
  return {entity.substr(0, end + 2), entity.substr(end + 4)};
}

// The value of the first field of that name, unfolded; empty if there is none.
std::string FieldValue(std::string_view header, std::string_view name) {
  std::string value;
  bool found = false;
  while (!header.empty()) {
    const size_t end = header.find("\r\n");
    const std::string_view line = header.substr(0, end);
    header.remove_prefix(end == std::string_view::npos ? header.size() : end + 2);
    const bool continues = !line.empty() && (line.front() == ' ' || line.front() == '\t');
    if (found && !continues) break;
    if (found) {
      value += line;
    } else if (const size_t colon = line.find(':');
               colon != std::string_view::npos && EqualsIgnoreCase(line.substr(0, colon), name)) {
      found = true;
      value = line.substr(colon + 1);
    }
  }
  return std::string(Trim(value));
}

// "multipart/report" of a Content-Type.
std::string TypeOf(std::string_view content_type) {
  return ToLowerAscii(Trim(content_type.substr(0, content_type.find(';'))));
}

std::string BoundaryOf(const std::string& content_type) {
  const size_t begin = ToLowerAscii(content_type).find("boundary=");
  if (begin == std::string::npos) return "";
  std::string_view value = std::string_view(content_type).substr(begin + 9);
  if (value.starts_with('"')) {
    value.remove_prefix(1);
    return std::string(value.substr(0, value.find('"')));
  }
  return std::string(Trim(value.substr(0, value.find_first_of("; \t"))));
}

void ReadBlocks(std::string_view blocks, std::vector<NoticeRecipient>& out) {
  while (!blocks.empty()) {
    const size_t end = blocks.find("\r\n\r\n");
    const std::string_view block = blocks.substr(0, end);
    blocks.remove_prefix(end == std::string_view::npos ? blocks.size() : end + 4);
    const std::string recipient = FieldValue(block, "Final-Recipient");
    if (recipient.empty()) continue;
    const size_t semicolon = recipient.find(';');
    const std::string_view address = semicolon == std::string::npos
                                         ? std::string_view(recipient)
                                         : std::string_view(recipient).substr(semicolon + 1);
    out.push_back({std::string(Trim(address)), ToLowerAscii(FieldValue(block, "Action")),
                   FieldValue(block, "Status")});
  }
}

}  // namespace

std::optional<FoundId> FindId(std::string_view content) {
  size_t begin = 0;
  while (begin < content.size()) {
    size_t end = content.find('\n', begin);
    if (end == std::string_view::npos) end = content.size();
    const std::string_view line = content.substr(begin, end - begin);
    if (line.size() > kIdField.size() && line[kIdField.size()] == ':' &&
        EqualsIgnoreCase(line.substr(0, kIdField.size()), kIdField)) {
      const std::string_view id = Trim(line.substr(kIdField.size() + 1));
      if (!id.empty()) return FoundId{std::string(id), begin};
    }
    begin = end + 1;
  }
  return std::nullopt;
}

NoticeContent ReadNotice(std::string_view content) {
  NoticeContent notice;
  const auto [header, body] = Halves(content);
  const std::string content_type = FieldValue(header, "Content-Type");
  const std::string boundary = BoundaryOf(content_type);
  if (TypeOf(content_type) != "multipart/report" || boundary.empty()) return notice;
  notice.message_id = FieldValue(header, "Message-ID");
  const std::string delimiter = format("\r\n--{}", boundary);
  // The first delimiter may follow the header section at once, so the search begins at its end.
  std::string_view rest = content.substr(header.empty() ? 0 : header.size() - 2);
  size_t next = rest.find(delimiter);
  while (next != std::string_view::npos) {
    rest.remove_prefix(next + delimiter.size());
    next = rest.find(delimiter);
    std::string_view part = rest.substr(0, next);
    part.remove_prefix(std::min(part.find("\r\n"), part.size()));
    if (part.starts_with("\r\n")) part.remove_prefix(2);
    const auto [part_header, part_body] = Halves(part);
    const std::string type = TypeOf(FieldValue(part_header, "Content-Type"));
    if (type == "message/delivery-status" || type == "message/global-delivery-status") {
      ReadBlocks(part_body, notice.recipients);
    }
  }
  return notice;
}

}  // namespace holdfast::bench
