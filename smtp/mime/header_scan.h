// smtp/mime/header_scan.h
// HeaderScan looks at the header section of a message while it passes by (RFC 5322 2.2): how many
// Received fields (loops), whether there are Message-ID and Date, how long the section is, whether
// it holds bytes beyond ASCII. It changes nothing, understands no MIME, and stops caring at the end
// of the section: an empty line, or a line that is no field.
//
// Threads: owned by one conversation.
// Limits:  keeps at most one field name and 998 bytes of Message-ID, whatever passes by.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace holdfast::smtp {

class HeaderScan {
 public:
  // Content in order, in any pieces. Lines end with LF, a CR before it belongs to the end.
  void Feed(std::string_view bytes);
  // No more content will come. Idempotent.
  void Finish();

  // The section is over; Feed() ignores everything from now on.
  bool done() const { return done_; }

  int received_fields() const { return received_fields_; }
  bool has_date() const { return has_date_; }
  bool non_ascii() const { return non_ascii_; }
  uint64_t bytes() const { return bytes_; }
  // "<id@example.org>" as it stands there without folding; "" if there is none. Not cleaned.
  const std::string& message_id() const { return message_id_; }

 private:
  enum class Where { kLineStart, kName, kAfterName, kBody };

  size_t ReadName(std::string_view bytes);
  size_t ReadBody(std::string_view bytes);
  void EndName();
  void CollectId(std::string_view bytes);

  Where where_ = Where::kLineStart;
  bool done_ = false;
  bool first_line_ = true;
  bool in_message_id_ = false;
  bool id_complete_ = false;
  bool carriage_return_ = false;  // At the start of a line: it may be the empty one.
  std::string name_;              // Lower case, as far as a name of interest may reach.
  uint64_t name_bytes_ = 0;       // Of the line that may yet turn out to be no field.
  int received_fields_ = 0;
  bool has_date_ = false;
  bool non_ascii_ = false;
  uint64_t bytes_ = 0;
  std::string message_id_;
};

}  // namespace holdfast::smtp
