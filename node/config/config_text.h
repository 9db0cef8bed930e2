// node/config/config_text.h
// Protobuf text with the places of its fields: what node_reader.cc and policy_reader.cc share.
// ConfigScope is one message of the text; each Read... takes one field's value if it is present and
// sensible, keeps the default if it is absent, and otherwise notes a problem at the field's place.
//
// Not for other folders: its header needs protobuf's.
// Threads:  thread-compatible. Lifetime: message, tree and problems outlive the scopes.
#pragma once

#include <absl/time/time.h>
#include <google/protobuf/message.h>
#include <google/protobuf/text_format.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "node/config/config_reader.h"

namespace holdfast::node {

using ParseInfoTree = google::protobuf::TextFormat::ParseInfoTree;

// Parses `text` and appends what is wrong with it to `problems`. False when the parser had to stop:
// then `message` is a fragment, about which nothing more should be said. Unknown fields alone are
// problems that it can go on from.
bool ParseConfigText(std::string_view text, google::protobuf::Message* message, ParseInfoTree* tree,
                     std::vector<ConfigProblem>* problems);

struct DurationBounds {
  absl::Duration min = absl::Milliseconds(1);
  absl::Duration max = absl::Hours(24 * 365);
};

class ConfigScope {
 public:
  ConfigScope(const google::protobuf::Message& message, const ParseInfoTree* tree,
              std::vector<ConfigProblem>* problems)
      : ConfigScope(message, tree, problems, 0, 0) {}

  bool Has(std::string_view field) const;
  int CountOf(std::string_view field) const;

  // At the field's place, or, when it is absent, at that of the message around it.
  void Problem(std::string_view field, std::string text) const { ProblemAt(field, -1, text); }
  void ProblemAt(std::string_view field, int index, const std::string& text) const;

  // Empty when absent. Problems: not UTF-8, control characters.
  std::string Text(std::string_view field, int index = -1) const;
  void ReadText(std::string_view field, std::string* value) const;
  // Problem when absent or empty.
  std::string RequiredText(std::string_view field) const;
  void ReadDuration(std::string_view field, absl::Duration* value,
                    DurationBounds bounds = {}) const;
  std::optional<absl::Duration> DurationOf(std::string_view field, int index,
                                           DurationBounds bounds) const;
  void ReadFlag(std::string_view field, bool* value) const;
  template <typename Number>
  requires std::is_unsigned_v<Number>
  void ReadNumber(std::string_view field, Number* value, uint64_t min, uint64_t max) const {
    *value = static_cast<Number>(NumberOf(field, *value, min, max));
  }
  // The enumerator's number; nothing when absent, 0 or unknown (the last two are problems).
  std::optional<int> Enumerator(std::string_view field, int index = -1) const;

  // An empty message when absent.
  ConfigScope Nested(std::string_view field, int index = -1) const;

 private:
  ConfigScope(const google::protobuf::Message& message, const ParseInfoTree* tree,
              std::vector<ConfigProblem>* problems, int line, int column)
      : message_(message), tree_(tree), problems_(problems), line_(line), column_(column) {}

  const google::protobuf::FieldDescriptor* Field(std::string_view name) const;
  uint64_t NumberOf(std::string_view field, uint64_t value, uint64_t min, uint64_t max) const;
  ConfigProblem PlaceOf(const google::protobuf::FieldDescriptor* field, int index) const;

  const google::protobuf::Message& message_;
  const ParseInfoTree* const tree_;  // Null for an absent message.
  std::vector<ConfigProblem>* const problems_;
  const int line_;
  const int column_;
};

}  // namespace holdfast::node
