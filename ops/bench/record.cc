#include "ops/bench/record.h"

#include <array>
#include <charconv>
#include <optional>
#include <utility>
#include <vector>

#include "base/status.h"
#include "base/text.h"
#include "smtp/protocol/reply.h"

namespace holdfast::bench {
namespace {

constexpr std::string_view kEmpty = "-";

constexpr std::array<std::pair<OfferEnd, std::string_view>, 5> kOfferEnds = {{
    {OfferEnd::kAccepted, "accepted"},
    {OfferEnd::kTemporary, "temporary"},
    {OfferEnd::kPermanent, "permanent"},
    {OfferEnd::kUnknown, "unknown"},
    {OfferEnd::kNotOffered, "not-offered"},
}};
constexpr std::array<std::pair<CopyEnd, std::string_view>, 2> kCopyEnds = {{
    {CopyEnd::kAccepted, "accepted"},
    {CopyEnd::kSilent, "silent"},
}};

template <typename Names, typename Value>
std::string_view NameOf(const Names& names, Value value) {
  for (const auto& [end, name] : names) {
    if (end == value) return name;
  }
  return kEmpty;
}

// Printable() leaves neither tabs nor line ends.
std::string Field(std::string_view text) {
  return text.empty() ? std::string(kEmpty) : smtp::Printable(text, kFieldBytesMax);
}

std::vector<std::string_view> Split(std::string_view line) {
  std::vector<std::string_view> fields;
  while (true) {
    const size_t tab = line.find('\t');
    fields.push_back(line.substr(0, tab));
    if (tab == std::string_view::npos) return fields;
    line.remove_prefix(tab + 1);
  }
}

// Takes fields in order and remembers the first that is wrong.
class Fields {
 public:
  explicit Fields(std::vector<std::string_view> fields) : fields_(std::move(fields)) {}

  std::string Text() {
    const std::string_view text = Take();
    return std::string(text == kEmpty ? std::string_view() : text);
  }

  template <typename Number>
  Number Digits() {
    const std::string_view text = Take();
    Number number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size()) Fail();
    return number;
  }

  template <typename Value, size_t n>
  Value OneOf(const std::array<std::pair<Value, std::string_view>, n>& names) {
    const std::string_view text = Take();
    for (const auto& [value, name] : names) {
      if (name == text) return value;
    }
    Fail();
    return names[0].first;
  }

  absl::StatusOr<Record> End(Record record) {
    if (!wrong_ && next_ < fields_.size()) wrong_ = next_ + 1;
    if (wrong_) {
      return MakeStatus(absl::StatusCode::kInvalidArgument, "field {} of a {} line is wrong",
                        *wrong_, smtp::Printable(fields_[0], 20));
    }
    return record;
  }

 private:
  std::string_view Take() {
    ++next_;
    if (next_ <= fields_.size()) return fields_[next_ - 1];
    Fail();
    return {};
  }
  void Fail() {
    if (!wrong_) wrong_ = next_;
  }

  const std::vector<std::string_view> fields_;
  size_t next_ = 1;  // Fields taken, the kind included: the last one's number for `cut`.
  std::optional<size_t> wrong_;
};

}  // namespace

std::string_view ToString(OfferEnd end) { return NameOf(kOfferEnds, end); }

std::string FormatRecord(const Record& record) {
  if (const auto* offer = std::get_if<Offer>(&record)) {
    return format("offer\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\n", Field(offer->id),
                  Field(offer->recipient), offer->at_us, offer->answered_us, Field(offer->target),
                  offer->attempt, ToString(offer->end), Field(offer->digest), Field(offer->answer));
  }
  if (const auto* copy = std::get_if<Copy>(&record)) {
    return format("copy\t{}\t{}\t{}\t{}\t{}\t{}\n", Field(copy->id), Field(copy->recipient),
                  copy->at_us, copy->connection, NameOf(kCopyEnds, copy->end), Field(copy->digest));
  }
  const auto& notice = std::get<Notice>(record);
  return format("notice\t{}\t{}\t{}\t{}\t{}\t{}\t{}\n", Field(notice.id), Field(notice.recipient),
                notice.at_us, notice.connection, Field(notice.action), Field(notice.status),
                Field(notice.message_id));
}

absl::StatusOr<Record> ParseRecord(std::string_view line) {
  std::vector<std::string_view> split = Split(line);
  const std::string_view kind = split[0];
  Fields fields(std::move(split));
  // Members of a braced list are evaluated in order.
  if (kind == "offer") {
    return fields.End(Offer{fields.Text(), fields.Text(), fields.Digits<int64_t>(),
                            fields.Digits<int64_t>(), fields.Text(), fields.Digits<int>(),
                            fields.OneOf(kOfferEnds), fields.Text(), fields.Text()});
  }
  if (kind == "copy") {
    return fields.End(Copy{fields.Text(), fields.Text(), fields.Digits<int64_t>(),
                           fields.Digits<uint64_t>(), fields.OneOf(kCopyEnds), fields.Text()});
  }
  if (kind == "notice") {
    return fields.End(Notice{fields.Text(), fields.Text(), fields.Digits<int64_t>(),
                             fields.Digits<uint64_t>(), fields.Text(), fields.Text(),
                             fields.Text()});
  }
  return MakeStatus(absl::StatusCode::kInvalidArgument, "no record begins with `{}`",
                    smtp::Printable(kind, 20));
}

}  // namespace holdfast::bench
