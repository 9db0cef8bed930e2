#include "smtp/mime/header_scan.h"

#include <algorithm>

namespace holdfast::smtp {
namespace {

constexpr size_t kNameBytesMax = 16;        // "message-id" and "received" fit, with room.
constexpr size_t kMessageIdBytesMax = 998;  // A line's length; longer ones are not ids.

bool IsFieldNameText(char c) { return c > 0x20 && c < 0x7F && c != ':'; }  // RFC 5322 2.2

}  // namespace

void HeaderScan::Feed(std::string_view bytes) {
  size_t used = 0;
  while (!done_ && used < bytes.size()) {
    const char c = bytes[used];
    switch (where_) {
      case Where::kLineStart:
        if (c == '\n') {  // The empty line.
          ++bytes_;
          Finish();
        } else if (c == '\r' && !carriage_return_) {
          carriage_return_ = true;
          ++bytes_;
          ++used;
        } else if (carriage_return_) {  // A bare CR begins no field.
          Finish();
        } else if ((c == ' ' || c == '\t') && !first_line_) {
          where_ = Where::kBody;  // Folded: the field goes on.
        } else {
          in_message_id_ = false;
          name_.clear();
          name_bytes_ = 0;
          where_ = Where::kName;
        }
        break;
      case Where::kName:
      case Where::kAfterName:
        used += ReadName(bytes.substr(used));
        break;
      case Where::kBody:
        used += ReadBody(bytes.substr(used));
        break;
    }
  }
}

void HeaderScan::Finish() {
  done_ = true;
  if (!id_complete_) message_id_.clear();
}

// Up to the colon, with the spaces that the obsolete syntax allows before it. Anything else means
// that this line is no field and the section has ended.
size_t HeaderScan::ReadName(std::string_view bytes) {
  size_t i = 0;
  for (; i < bytes.size(); ++i) {
    const char c = bytes[i];
    if (c == ':' && !name_.empty()) {
      EndName();
      bytes_ += i + 1;
      return i + 1;
    }
    if (c == ' ' || c == '\t') {
      where_ = Where::kAfterName;
    } else if (where_ == Where::kAfterName || !IsFieldNameText(c)) {
      bytes_ -= name_bytes_;  // This line isn't part of the section.
      Finish();
      return bytes.size();
    } else if (name_.size() < kNameBytesMax) {
      name_ += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    }
  }
  bytes_ += i;
  name_bytes_ += i;
  return i;
}

void HeaderScan::EndName() {
  where_ = Where::kBody;
  first_line_ = false;
  if (name_ == "received") ++received_fields_;
  if (name_ == "date") has_date_ = true;
  in_message_id_ = name_ == "message-id" && !id_complete_ && message_id_.empty();
}

// Up to the end of the line.
size_t HeaderScan::ReadBody(std::string_view bytes) {
  const size_t end = bytes.find('\n');
  const size_t used = end == std::string_view::npos ? bytes.size() : end + 1;
  const std::string_view text = bytes.substr(0, used);
  if (!non_ascii_) {
    non_ascii_ = std::any_of(text.begin(), text.end(),
                             [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
  }
  if (in_message_id_) CollectId(text);
  bytes_ += used;
  if (end != std::string_view::npos) {
    where_ = Where::kLineStart;
    carriage_return_ = false;
  }
  return used;
}

void HeaderScan::CollectId(std::string_view bytes) {
  for (char c : bytes) {
    if (id_complete_) return;
    if (message_id_.empty() && c != '<') continue;
    if (c == '\r' || c == '\n' || c == ' ' || c == '\t') continue;
    if (message_id_.size() >= kMessageIdBytesMax) {
      in_message_id_ = false;
      return;
    }
    message_id_ += c;
    if (c == '>') id_complete_ = true;
  }
}

}  // namespace holdfast::smtp
