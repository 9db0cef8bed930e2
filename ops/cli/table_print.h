// ops/cli/table_print.h
// Tables and values for people: aligned columns, grouped digits, times in UTC. Nothing that a
// stranger put into an address or a reply can move the cursor or forge a line: controls are shown
// as '?'. Threads: functions and values.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace google::protobuf {
class Timestamp;
}

namespace holdfast::cli {

enum class Align { kLeft, kRight };

struct Column {
  std::string title;
  Align align = Align::kLeft;
};

class Table {
 public:
  explicit Table(std::vector<Column> columns);

  // One cell for each column.
  void AddRow(std::vector<std::string> cells);
  // Titles, then the rows; two blanks between columns, none at a line's end.
  void Print(std::ostream& out) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// "1,234,567".
std::string CountText(uint64_t count);
// "1 message", "2 messages".
std::string CountOf(uint64_t count, std::string_view noun);
// "512 B", "1.5 KiB", "50 MiB".
std::string BytesText(uint64_t bytes);
// "2026-01-02 03:04:05Z", or "-" when there is none.
std::string TimeText(const google::protobuf::Timestamp& time);
// Without controls, and cut at `characters_max` (with "..."; 0: not cut).
std::string Shown(std::string_view text, size_t characters_max = 0);

}  // namespace holdfast::cli
