#include "node/config/config_text.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/tokenizer.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/text.h"
#include "node/config/config_values.h"
#include "smtp/protocol/address.h"

namespace holdfast::node {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr int kNestingMax = 20;
constexpr size_t kProblemsMax = 100;

std::vector<std::string_view> SplitLines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (true) {
    const size_t end = text.find('\n');
    lines.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return lines;
    text.remove_prefix(end + 1);
  }
}

std::string EnumeratorNames(const EnumDescriptor& type) {
  std::string names;
  for (int i = 0; i < type.value_count(); ++i) {
    if (type.value(i)->number() == 0) continue;
    names += format("{}{}", names.empty() ? "" : ", ", type.value(i)->name());
  }
  return names;
}

// A field of this name with an enumeration as its type, in `type` or below it.
const EnumDescriptor* FindEnumField(const Descriptor& type, const std::string& field_name,
                                    int depth) {
  const FieldDescriptor* const field = type.FindFieldByName(field_name);
  if (field != nullptr && field->enum_type() != nullptr) return field->enum_type();
  if (depth >= kNestingMax) return nullptr;
  for (int i = 0; i < type.field_count(); ++i) {
    if (type.field(i)->message_type() == nullptr) continue;
    if (const EnumDescriptor* found =
            FindEnumField(*type.field(i)->message_type(), field_name, depth + 1)) {
      return found;
    }
  }
  return nullptr;
}

// What stands in `message` between the given pieces of text; nothing when they do not frame it.
std::optional<std::string> Between(std::string_view message, std::string_view before,
                                   std::string_view after) {
  if (!message.starts_with(before)) return std::nullopt;
  message.remove_prefix(before.size());
  if (!message.ends_with(after)) return std::nullopt;
  message.remove_suffix(after.size());
  return std::string(message);
}

// A word of the file, short enough for a line.
std::string Shown(std::string_view word) {
  constexpr size_t kShownBytesMax = 80;
  if (word.size() <= kShownBytesMax) return std::string(word);
  return format("{}...", word.substr(0, kShownBytesMax));
}

// Turns protobuf's messages into ours, which say what to do, and moves the place of an unknown
// field from behind its name to its first letter. What is not recognised is passed on as it is.
class ProblemCollector final : public google::protobuf::io::ErrorCollector {
 public:
  ProblemCollector(std::string_view text, const Descriptor& root,
                   std::vector<ConfigProblem>* problems)
      : lines_(SplitLines(text)), root_(root), problems_(problems) {}

  void AddError(int line, int column, const std::string& message) override {
    if (problems_->size() >= kProblemsMax) return;
    problems_->push_back({line + 1, column + 1, Reword(message, line)});
  }
  // Only unknown fields are warned of, and for us those are errors.
  void AddWarning(int line, int column, const std::string& message) override {
    if (problems_->size() >= kProblemsMax) return;
    constexpr std::string_view kMiddle = "\" has no field named \"";
    const std::optional<std::string> names = Between(message, "Message type \"", "\".");
    const size_t middle = names ? names->find(kMiddle) : std::string::npos;
    if (middle == std::string::npos) {
      AddError(line, column, message);
      return;
    }
    const std::string name = names->substr(middle + kMiddle.size());
    const auto [name_line, name_column] = Backwards(name, line, column);
    problems_->push_back(
        {name_line + 1, name_column + 1, UnknownField(names->substr(0, middle), name)});
  }

 private:
  std::pair<int, int> Backwards(const std::string& name, int line, int column) const {
    for (int i = std::min<int>(line, static_cast<int>(lines_.size()) - 1); i >= 0; --i) {
      const std::string_view before =
          i == line ? lines_[i].substr(0, static_cast<size_t>(column)) : lines_[i];
      const size_t place = before.rfind(name);
      if (place != std::string_view::npos) return {i, static_cast<int>(place)};
    }
    return {line, column};
  }

  std::string UnknownField(const std::string& type_name, const std::string& name) const {
    const Descriptor* const type = root_.file()->pool()->FindMessageTypeByName(type_name);
    if (type == nullptr) return format("no field `{}`", Shown(name));
    std::vector<std::string> names;
    for (int i = 0; i < type->field_count(); ++i) names.push_back(type->field(i)->name());
    if (const std::optional<std::string> nearest = NearestName(name, names)) {
      return format("no field `{}` in {}; did you mean `{}`?", Shown(name), type->name(), *nearest);
    }
    std::string all;
    for (const std::string& each : names) all += format("{}{}", all.empty() ? "" : ", ", each);
    return format("no field `{}` in {}; its fields are {}", Shown(name), type->name(), all);
  }

  std::string Reword(const std::string& message, int line) const {
    if (const auto name =
            Between(message, "Non-repeated field \"", "\" is specified multiple times.")) {
      return format("`{}` is given twice; keep one of them", *name);
    }
    if (const auto names = Between(message, "Unknown enumeration value of \"", "\".")) {
      constexpr std::string_view kMiddle = "\" for field \"";
      const size_t middle = names->find(kMiddle);
      const EnumDescriptor* const type =
          middle == std::string::npos
              ? nullptr
              : FindEnumField(root_, names->substr(middle + kMiddle.size()), 0);
      if (type != nullptr) {
        return format("`{}` is no value of {}; it may be {}", Shown(names->substr(0, middle)),
                      names->substr(middle + kMiddle.size()), EnumeratorNames(*type));
      }
    }
    if (const auto got = Between(message, "Expected string, got: ", "")) {
      return format("expected a text in quotes, got {}", ShownToken(*got));
    }
    if (const auto got = Between(message, "Expected integer, got: ", "")) {
      return format("expected a whole number, got {}", ShownToken(*got));
    }
    if (const auto got = Between(message, "Expected identifier, got: ", "")) {
      if (got->empty()) return "the file ends inside a message; a `}` is missing";
      return format("expected the name of a field, got {}", ShownToken(*got));
    }
    if (message == "Need space between number and identifier." &&
        static_cast<size_t>(line) < lines_.size() &&
        lines_[line].find('"') == std::string_view::npos) {
      return "a number with a unit must stand in quotes, as in \"5m\"";
    }
    std::string text = Shown(message);
    while (!text.empty() && text.back() == '.') text.pop_back();
    if (!text.empty() && text[0] >= 'A' && text[0] <= 'Z') text[0] += 'a' - 'A';
    return text;
  }

  static std::string ShownToken(const std::string& token) {
    return token.empty() ? "the end of the file" : Shown(token);
  }

  const std::vector<std::string_view> lines_;
  const Descriptor& root_;
  std::vector<ConfigProblem>* const problems_;
};

}  // namespace

bool ParseConfigText(std::string_view text, Message* message, ParseInfoTree* tree,
                     std::vector<ConfigProblem>* problems) {
  const size_t before = problems->size();
  if (text.size() > kConfigBytesMax) {
    problems->push_back(
        {0, 0,
         format("the text has {} bytes; at most {} are allowed", text.size(), kConfigBytesMax)});
    return false;
  }
  ProblemCollector collector(text, *message->GetDescriptor(), problems);
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&collector);
  parser.WriteLocationsTo(tree);
  // Unknown fields then come as warnings and parsing goes on, so that one run shows them all.
  parser.AllowUnknownField(true);
  parser.SetRecursionLimit(kNestingMax);
  const bool parsed = parser.ParseFromString(std::string(text), message);
  if (!parsed && problems->size() == before) problems->push_back({0, 0, "the text is malformed"});
  return parsed;
}

const FieldDescriptor* ConfigScope::Field(std::string_view name) const {
  const FieldDescriptor* const field = message_.GetDescriptor()->FindFieldByName(std::string(name));
  HOLDFAST_CHECK(field != nullptr) << message_.GetTypeName() << " has no " << name;
  return field;
}

bool ConfigScope::Has(std::string_view field) const {
  return message_.GetReflection()->HasField(message_, Field(field));
}

int ConfigScope::CountOf(std::string_view field) const {
  return message_.GetReflection()->FieldSize(message_, Field(field));
}

ConfigProblem ConfigScope::PlaceOf(const FieldDescriptor* field, int index) const {
  if (tree_ != nullptr) {
    auto place = tree_->GetLocation(field, index);
    // Values in a list [a, b] share the place of the first.
    if (place.line < 0 && index > 0) place = tree_->GetLocation(field, 0);
    if (place.line >= 0) return {place.line + 1, place.column + 1, {}};
  }
  return {line_, column_, {}};
}

void ConfigScope::ProblemAt(std::string_view field, int index, const std::string& text) const {
  if (problems_->size() >= kProblemsMax) return;
  const FieldDescriptor* const descriptor = Field(field);
  ConfigProblem problem = PlaceOf(descriptor, descriptor->is_repeated() ? std::max(index, 0) : -1);
  problem.text = text;
  problems_->push_back(std::move(problem));
}

std::string ConfigScope::Text(std::string_view field, int index) const {
  const FieldDescriptor* const descriptor = Field(field);
  const Reflection* const reflection = message_.GetReflection();
  std::string text = descriptor->is_repeated()
                         ? reflection->GetRepeatedString(message_, descriptor, index)
                         : reflection->GetString(message_, descriptor);
  const bool has_control = std::any_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) < ' ' || c == 0x7f;
  });
  if (has_control || !smtp::IsValidUtf8(text)) {
    ProblemAt(field, index, format("{} may hold only printable UTF-8", field));
    return "";
  }
  return text;
}

void ConfigScope::ReadText(std::string_view field, std::string* value) const {
  if (Has(field)) *value = Text(field);
}

std::string ConfigScope::RequiredText(std::string_view field) const {
  const size_t before = problems_->size();
  std::string text = Text(field);
  if (text.empty() && problems_->size() == before) {
    Problem(field, format("{} is required in {}", field, message_.GetDescriptor()->name()));
  }
  return text;
}

std::optional<absl::Duration> ConfigScope::DurationOf(std::string_view field, int index,
                                                      DurationBounds bounds) const {
  const std::string text = Text(field, index);
  const std::optional<absl::Duration> duration = ParseDuration(text);
  if (!duration) {
    ProblemAt(
        field, index,
        format("`{}` is no duration; write a number and a unit, as \"500ms\", \"30s\", \"5m\", "
               "\"4h\" or \"5d\"",
               text));
    return std::nullopt;
  }
  if (*duration < bounds.min || *duration > bounds.max) {
    ProblemAt(field, index,
              format("{} must be between {} and {}, and is {}", field, DurationText(bounds.min),
                     DurationText(bounds.max), text));
    return std::nullopt;
  }
  return duration;
}

void ConfigScope::ReadDuration(std::string_view field, absl::Duration* value,
                               DurationBounds bounds) const {
  if (!Has(field)) return;
  if (const std::optional<absl::Duration> duration = DurationOf(field, -1, bounds)) {
    *value = *duration;
  }
}

void ConfigScope::ReadFlag(std::string_view field, bool* value) const {
  if (Has(field)) *value = message_.GetReflection()->GetBool(message_, Field(field));
}

uint64_t ConfigScope::NumberOf(std::string_view field, uint64_t value, uint64_t min,
                               uint64_t max) const {
  if (!Has(field)) return value;
  const FieldDescriptor* const descriptor = Field(field);
  const Reflection* const reflection = message_.GetReflection();
  const uint64_t given = descriptor->cpp_type() == FieldDescriptor::CPPTYPE_UINT32
                             ? reflection->GetUInt32(message_, descriptor)
                             : reflection->GetUInt64(message_, descriptor);
  if (given >= min && given <= max) return given;
  Problem(field, format("{} must be between {} and {}, and is {}", field, min, max, given));
  return value;
}

std::optional<int> ConfigScope::Enumerator(std::string_view field, int index) const {
  const FieldDescriptor* const descriptor = Field(field);
  if (!descriptor->is_repeated() && !Has(field)) return std::nullopt;
  const Reflection* const reflection = message_.GetReflection();
  const int number = descriptor->is_repeated()
                         ? reflection->GetRepeatedEnumValue(message_, descriptor, index)
                         : reflection->GetEnumValue(message_, descriptor);
  const EnumDescriptor* const type = descriptor->enum_type();
  if (number != 0 && type->FindValueByNumber(number) != nullptr) return number;
  ProblemAt(field, index, format("{} may be {}", field, EnumeratorNames(*type)));
  return std::nullopt;
}

ConfigScope ConfigScope::Nested(std::string_view field, int index) const {
  const FieldDescriptor* const descriptor = Field(field);
  const Reflection* const reflection = message_.GetReflection();
  const bool present = descriptor->is_repeated() || Has(field);
  const ConfigProblem place =
      present ? PlaceOf(descriptor, index) : ConfigProblem{line_, column_, {}};
  const Message& nested = descriptor->is_repeated()
                              ? reflection->GetRepeatedMessage(message_, descriptor, index)
                              : reflection->GetMessage(message_, descriptor);
  const ParseInfoTree* const tree =
      present && tree_ != nullptr ? tree_->GetTreeForNested(descriptor, index) : nullptr;
  return ConfigScope(nested, tree, problems_, place.line, place.column);
}

}  // namespace holdfast::node
