#include "tests/raft/script.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace holdfast::raft_test {
namespace {

constexpr std::string_view kSeparator = "----";

std::vector<std::string> SplitLines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    lines.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return lines;
}

std::string_view Trim(std::string_view text) {
  const size_t from = text.find_first_not_of(" \t");
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(" \t") - from + 1);
}

// Words, where one in parentheses may hold blanks.
absl::StatusOr<std::vector<std::string>> SplitWords(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  int depth = 0;
  for (char c : text) {
    if (depth == 0 && (c == ' ' || c == '\t')) {
      if (!word.empty()) words.push_back(std::move(word));
      word.clear();
      continue;
    }
    depth += c == '(' ? 1 : c == ')' ? -1 : 0;
    word.push_back(c);
  }
  if (depth != 0) return MakeStatus(absl::StatusCode::kInvalidArgument, "unbalanced parentheses");
  if (!word.empty()) words.push_back(std::move(word));
  return words;
}

ScriptArgument ParseArgument(const std::string& word) {
  const size_t equals = word.find('=');
  if (equals == std::string::npos) return {word, {}};
  ScriptArgument argument{word.substr(0, equals), {}};
  std::string_view value = std::string_view(word).substr(equals + 1);
  if (value.size() < 2 || value.front() != '(' || value.back() != ')') {
    argument.values.emplace_back(value);
    return argument;
  }
  value = value.substr(1, value.size() - 2);
  while (!Trim(value).empty()) {
    const size_t comma = value.find(',');
    argument.values.emplace_back(Trim(value.substr(0, comma)));
    if (comma == std::string_view::npos) break;
    value.remove_prefix(comma + 1);
  }
  return argument;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : lines_(SplitLines(text)) {}

  absl::StatusOr<Script> Parse() {
    Script script;
    std::string before;
    while (at_ < lines_.size()) {
      const std::string_view line = Trim(lines_[at_]);
      if (line.empty() || line.front() == '#') {
        before += lines_[at_++] + "\n";
        continue;
      }
      HOLDFAST_ASSIGN_OR_RETURN(ScriptStep step, ParseStep());
      step.before = std::move(before);
      before.clear();
      script.steps.push_back(std::move(step));
    }
    script.rest = std::move(before);
    return script;
  }

 private:
  absl::Status Wrong(std::string_view why) const {
    return MakeStatus(absl::StatusCode::kInvalidArgument, "line {}: {}", at_ + 1, why);
  }

  absl::StatusOr<ScriptStep> ParseStep() {
    ScriptStep step;
    step.command.line = static_cast<int>(at_) + 1;
    step.directive = lines_[at_];
    // A backslash at the end carries the command on.
    std::string line = lines_[at_++];
    while (!line.empty() && line.back() == '\\' && at_ < lines_.size()) {
      step.directive += "\n" + lines_[at_];
      line.back() = ' ';
      line += lines_[at_++];
    }
    HOLDFAST_ASSIGN_OR_RETURN(std::vector<std::string> words, SplitWords(line));
    step.command.name = words.front();
    for (size_t i = 1; i < words.size(); ++i) {
      step.command.arguments.push_back(ParseArgument(words[i]));
    }
    while (at_ < lines_.size() && lines_[at_] != kSeparator) {
      step.directive += "\n" + lines_[at_];
      step.command.input += lines_[at_++] + "\n";
    }
    if (at_ == lines_.size()) return Wrong("the command has no ----");
    ++at_;
    step.expected = ParseExpected();
    return step;
  }

  std::string ParseExpected() {
    std::string expected;
    if (at_ < lines_.size() && lines_[at_] == kSeparator) {
      ++at_;
      while (at_ < lines_.size() && !(lines_[at_] == kSeparator && at_ + 1 < lines_.size() &&
                                      lines_[at_ + 1] == kSeparator)) {
        expected += lines_[at_++] + "\n";
      }
      at_ = std::min(at_ + 2, lines_.size());
      return expected;
    }
    while (at_ < lines_.size() && !Trim(lines_[at_]).empty()) expected += lines_[at_++] + "\n";
    return expected;
  }

  std::vector<std::string> lines_;
  size_t at_ = 0;
};

bool IsLogLine(std::string_view line) {
  line = Trim(line);
  for (std::string_view level : {"INFO", "DEBUG", "WARN", "ERROR"}) {
    if (line.substr(0, level.size()) == level) return true;
  }
  return false;
}

std::string StripLogs(const std::string& text) {
  std::string kept;
  for (const std::string& line : SplitLines(text)) {
    if (!IsLogLine(line)) kept += line + "\n";
  }
  return kept;
}

std::string Prefixed(char mark, const std::string& line) { return format("  {} {}\n", mark, line); }

// Lines that both have at either end are shown once, the middle as removed and added.
std::string Diff(const std::string& expected, const std::string& actual) {
  const std::vector<std::string> old_lines = SplitLines(expected);
  const std::vector<std::string> new_lines = SplitLines(actual);
  const size_t shorter = std::min(old_lines.size(), new_lines.size());
  size_t head = 0;
  while (head < shorter && old_lines[head] == new_lines[head]) ++head;
  size_t tail = 0;
  while (tail < shorter - head &&
         old_lines[old_lines.size() - 1 - tail] == new_lines[new_lines.size() - 1 - tail]) {
    ++tail;
  }
  std::string out;
  for (size_t i = head > 3 ? head - 3 : 0; i < head; ++i) out += Prefixed(' ', old_lines[i]);
  for (size_t i = head; i < old_lines.size() - tail; ++i) out += Prefixed('-', old_lines[i]);
  for (size_t i = head; i < new_lines.size() - tail; ++i) out += Prefixed('+', new_lines[i]);
  for (size_t i = old_lines.size() - tail; i < old_lines.size() && i < old_lines.size() - tail + 3;
       ++i) {
    out += Prefixed(' ', old_lines[i]);
  }
  return out;
}

std::string Render(const ScriptStep& step, const std::string& output) {
  std::string text = step.before + step.directive + "\n----\n";
  if (output.find("\n\n") == std::string::npos && output.substr(0, 1) != "\n") {
    return text + output;
  }
  return text + "----\n" + output + "----\n----\n";
}

}  // namespace

std::optional<std::string> ScriptCommand::Value(std::string_view key) const {
  for (const ScriptArgument& argument : arguments) {
    if (argument.key == key && argument.values.size() == 1) return argument.values.front();
  }
  return std::nullopt;
}

std::vector<std::string> ScriptCommand::Words() const {
  std::vector<std::string> words;
  for (const ScriptArgument& argument : arguments) {
    if (argument.values.empty()) words.push_back(argument.key);
  }
  return words;
}

absl::StatusOr<Script> ParseScript(std::string_view text) { return Parser(text).Parse(); }

ScriptResult RunScript(const Script& script, const ScriptHandler& handler, bool strip_logs) {
  ScriptResult result;
  for (const ScriptStep& step : script.steps) {
    std::string output = handler(step.command);
    const bool silent = output.empty();
    if (silent) output = "ok";
    if (output.back() != '\n') output += '\n';
    result.rewritten += Render(step, output);
    std::string expected = step.expected;
    if (strip_logs) {
      expected = StripLogs(expected);
      output = StripLogs(output);
      // A command that only logged is silent once its logs are gone.
      if (silent && expected.empty() && !step.expected.empty()) continue;
    }
    if (output == expected || !result.difference.empty()) continue;
    result.difference =
        format("line {}: {}\n{}", step.command.line, step.directive, Diff(expected, output));
  }
  result.rewritten += script.rest;
  return result;
}

std::vector<std::string> FindScripts(const std::string& directory) {
  std::vector<std::string> paths;
  std::error_code ignored;  // An unreadable folder holds no scripts; the caller counts them.
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory, ignored)) {
    if (entry.is_regular_file() && entry.path().extension() == ".txt") {
      paths.push_back(entry.path().string());
    }
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

absl::StatusOr<std::string> ReadWholeFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) return MakeStatus(absl::StatusCode::kNotFound, "{} can't be read", path);
  return text.str();
}

}  // namespace holdfast::raft_test
