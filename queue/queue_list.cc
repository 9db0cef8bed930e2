// Messages one by one: lists, one in full, and what leaders and snapshots ask for.
#include <algorithm>

#include "base/text.h"
#include "queue/queue_view.h"
#include "queue/state/keys.h"
#include "queue/state/ledger.h"
#include "queue/state/rows.h"
#include "queue/view_token.h"

namespace holdfast::queue {
namespace {

constexpr size_t kUnitsMax = 20'000;  // More than a message can have.

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return Lower(x) == Lower(y); });
}

bool EndsWithIgnoringCase(std::string_view text, std::string_view end) {
  return text.size() >= end.size() &&
         EqualsIgnoringCase(text.substr(text.size() - end.size()), end);
}

// "user@example.com", "@example.com", or "<>" for none.
bool AddressMatches(std::string_view pattern, std::string_view address) {
  if (pattern.empty()) return true;
  if (pattern == "<>") return address.empty();
  if (pattern.front() == '@') return EndsWithIgnoringCase(address, pattern);
  return EqualsIgnoringCase(pattern, address);
}

// "example.com", or ".example.com" for every domain below it.
bool DestinationMatches(std::string_view pattern, std::string_view destination) {
  if (pattern.empty()) return true;
  if (pattern.front() == '.') return EndsWithIgnoringCase(destination, pattern);
  return EqualsIgnoringCase(pattern, destination);
}

absl::Status ReadUnits(const TablesReader& reader, const KeyRange& range, bool ended,
                       std::vector<UnitView>* units) {
  absl::Status bad;
  reader.Scan(range.from, range.to, kUnitsMax, [&](std::string_view key, std::string_view value) {
    std::optional<UnitKey> unit_key = DecodeUnitKey(key);
    UnitView& unit = units->emplace_back();
    bad = unit_key ? DecodeRow(value, &unit.row) : absl::DataLossError("unreadable key");
    if (unit_key) unit.key = *unit_key;
    unit.ended = ended;
    return bad.ok();
  });
  HOLDFAST_RETURN_IF_ERROR(bad);
  return reader.status();
}

std::string StatusText(const rows::RecipientRow& recipient) {
  if (recipient.code() == 0) return recipient.text();
  return recipient.enhanced().empty() || recipient.text().starts_with(recipient.enhanced())
             ? format("{} {}", recipient.code(), recipient.text())
             : format("{} {} {}", recipient.code(), recipient.enhanced(), recipient.text());
}

MessageState StateOf(const MessageView& view, absl::Time now) {
  bool in_doubt = false;
  for (const UnitView& unit : view.units) {
    in_doubt = in_doubt || (!unit.ended && ListOf(unit.row) == UnitList::kIntent);
  }
  if (in_doubt) return MessageState::kInDoubt;
  if (view.row.held()) return MessageState::kHeld;
  return view.next_attempt && *view.next_attempt <= now ? MessageState::kActive
                                                        : MessageState::kDeferred;
}

void Summarise(absl::Time now, MessageView* view) {
  int64_t last_ended_us = 0;
  for (const UnitView& unit : view->units) {
    view->recipients_open += unit.row.recipients_open();
    if (!unit.ended && view->first_open_destination.empty()) {
      view->first_open_destination = unit.row.destination();
    }
    if (!unit.ended && ListOf(unit.row) == UnitList::kReady) {
      const absl::Time due = absl::FromUnixMicros(unit.row.due_us());
      if (!view->next_attempt || due < *view->next_attempt) view->next_attempt = due;
    }
    if (unit.row.attempts() > 0 && unit.row.last_ended_us() >= last_ended_us) {
      last_ended_us = unit.row.last_ended_us();
      for (const rows::RecipientRow& recipient : unit.row.recipients()) {
        if (std::string text = StatusText(recipient); !text.empty()) view->last_status = text;
      }
    }
  }
  view->state = StateOf(*view, now);
}

absl::StatusOr<MessageView> Load(const TablesReader& reader, const QueueId& id, absl::Time now) {
  MessageView view;
  view.queue_id = id;
  HOLDFAST_ASSIGN_OR_RETURN(view.row, ReadMessage(reader, id));
  HOLDFAST_RETURN_IF_ERROR(ReadUnits(reader, OpenUnitsOf(id), false, &view.units));
  if (view.row.unit_count() > view.units.size()) {
    HOLDFAST_RETURN_IF_ERROR(ReadUnits(reader, EndedUnitsOf(id), true, &view.units));
  }
  std::sort(view.units.begin(), view.units.end(),
            [](const UnitView& a, const UnitView& b) { return a.key < b.key; });
  Summarise(now, &view);
  return view;
}

bool Matches(const MessageView& view, const QueueFilter& filter, absl::Time now) {
  const command::Envelope& envelope = view.row.envelope();
  if (filter.state != MessageState::kAny && filter.state != view.state) return false;
  if (!AddressMatches(filter.sender, envelope.sender())) return false;
  if (absl::FromUnixMicros(view.row.accepted_us()) > now - filter.age_min) return false;
  if (filter.recipient.empty() && filter.destination.empty()) return true;
  // One open recipient must match both conditions.
  for (const UnitView& unit : view.units) {
    if (unit.ended || !DestinationMatches(filter.destination, unit.row.destination())) continue;
    for (const rows::RecipientRow& recipient : unit.row.recipients()) {
      if (recipient.end() != rows::RecipientRow::OPEN) continue;
      const std::string& address = envelope.recipients(recipient.recipient()).address();
      if (AddressMatches(filter.recipient, address)) return true;
    }
  }
  return false;
}

// A message stands in a list once for each of its units there; the first of them speaks for it.
bool SpeaksForMessage(const MessageView& view, const ListKey& place, bool at_destination) {
  for (const UnitView& unit : view.units) {
    if (unit.ended || ListOf(unit.row) != place.list) continue;
    if (at_destination && unit.row.destination() != place.destination) continue;
    return unit.key == place.unit;
  }
  return false;
}

// The ranges of keys that a filter makes it sufficient to read, in the order of keys.
std::vector<KeyRange> RangesFor(const QueueFilter& filter) {
  std::vector<UnitList> lists = {UnitList::kReady, UnitList::kIntent, UnitList::kHeld};
  if (filter.state == MessageState::kHeld) lists = {UnitList::kHeld};
  if (filter.state == MessageState::kInDoubt) lists = {UnitList::kIntent};
  const bool exact = !filter.destination.empty() && filter.destination.front() != '.';
  std::vector<KeyRange> ranges;
  if (exact) {
    std::string destination = filter.destination;
    std::transform(destination.begin(), destination.end(), destination.begin(), Lower);
    for (UnitList list : lists) ranges.push_back(ListRange(list, destination));
  } else if (lists.size() == 1) {
    ranges.push_back(ListRange(lists[0]));
  } else {
    ranges.push_back(PrefixRange(FamilyPrefix(KeyFamily::kMessage)));
  }
  return ranges;
}

class Lister {
 public:
  Lister(const TablesReader& reader, const QueueFilter& filter, absl::Time now, size_t page_size,
         size_t rows_scan_max)
      : reader_(reader),
        filter_(filter),
        now_(now),
        page_size_(page_size),
        rows_left_(rows_scan_max) {}

  absl::StatusOr<QueuePage> Run(std::string_view page_token) {
    std::vector<KeyRange> ranges = RangesFor(filter_);
    if (!page_token.empty()) {
      while (!ranges.empty() && !StartAtToken(page_token, &ranges.front()).ok()) {
        ranges.erase(ranges.begin());
      }
      if (ranges.empty()) return absl::InvalidArgumentError("the page token is not of this list");
    }
    for (const KeyRange& range : ranges) {
      const ScanEnd end =
          reader_.Scan(range.from, range.to, rows_left_,
                       [this](std::string_view key, std::string_view) { return Take(key); });
      HOLDFAST_RETURN_IF_ERROR(bad_);
      HOLDFAST_RETURN_IF_ERROR(reader_.status());
      if (!end.complete) {
        page_.next_page_token = last_.empty() ? TokenFor(range.from) : TokenAfter(last_);
        break;
      }
      rows_left_ -= std::min(rows_left_, end.rows);
    }
    return std::move(page_);
  }

 private:
  bool Take(std::string_view key) {
    std::optional<ListKey> place = DecodeListKey(key);
    std::optional<QueueId> id = place ? place->unit.queue_id : DecodeQueueIdKey(key);
    if (!id) {
      bad_ = absl::DataLossError("unreadable key");
      return false;
    }
    absl::StatusOr<MessageView> view = Load(reader_, *id, now_);
    if (!view.ok()) {
      // A reader that sees batches as they come may have lost the message since the scan began.
      if (view.status().code() != absl::StatusCode::kNotFound) bad_ = view.status();
      last_ = key;
      return bad_.ok();
    }
    last_ = key;
    const bool exact = !filter_.destination.empty() && filter_.destination.front() != '.';
    if (place && !IsFirstPlace(*view, *place, exact)) return true;
    if (Matches(*view, filter_, now_)) page_.messages.push_back(*std::move(view));
    return page_.messages.size() < page_size_;
  }

  // With one destination and all states a message may stand in several lists.
  bool IsFirstPlace(const MessageView& view, const ListKey& place, bool exact) const {
    if (!SpeaksForMessage(view, place, exact)) return false;
    const bool all_lists =
        filter_.state != MessageState::kHeld && filter_.state != MessageState::kInDoubt;
    if (!all_lists) return true;
    for (const UnitView& unit : view.units) {
      const bool here = !unit.ended && unit.row.destination() == place.destination;
      if (here && ListOf(unit.row) < place.list) return false;
    }
    return true;
  }

  const TablesReader& reader_;
  const QueueFilter& filter_;
  const absl::Time now_;
  const size_t page_size_;
  size_t rows_left_;
  QueuePage page_;
  std::string last_;
  absl::Status bad_;
};

}  // namespace

absl::StatusOr<QueuePage> ListMessages(const TablesReader& reader, const QueueFilter& filter,
                                       absl::Time now, size_t page_size,
                                       std::string_view page_token, size_t rows_scan_max) {
  return Lister(reader, filter, now, std::max<size_t>(page_size, 1),
                std::max<size_t>(rows_scan_max, 1))
      .Run(page_token);
}

absl::StatusOr<MessageView> ShowMessage(const TablesReader& reader, const QueueId& id,
                                        absl::Time now) {
  return Load(reader, id, now);
}

absl::StatusOr<rows::RememberedRow> Remembered(const TablesReader& reader, const QueueId& id) {
  std::optional<std::string> value = reader.Get(RememberedKey(id));
  HOLDFAST_RETURN_IF_ERROR(reader.status());
  if (!value) return absl::NotFoundError("nothing is known of this queue id");
  rows::RememberedRow row;
  HOLDFAST_RETURN_IF_ERROR(DecodeRow(*value, &row));
  return row;
}

std::optional<AttemptKey> IntentOf(const rows::UnitRow& unit) {
  if (!unit.has_intent()) return std::nullopt;
  const rows::AttemptRow& intent = unit.intent();
  return AttemptKey{intent.attempt_id(), intent.node_id(), intent.boot_id()};
}

absl::StatusOr<InDoubtPage> ListInDoubt(const TablesReader& reader, size_t max,
                                        std::string_view page_token) {
  KeyRange range = ListRange(UnitList::kIntent);
  HOLDFAST_RETURN_IF_ERROR(StartAtToken(page_token, &range));
  InDoubtPage page;
  std::string last;
  absl::Status bad;
  const ScanEnd end = reader.Scan(
      range.from, range.to, std::max<size_t>(max, 1), [&](std::string_view key, std::string_view) {
        std::optional<ListKey> place = DecodeListKey(key);
        if (!place) bad = absl::DataLossError("unreadable key");
        if (!bad.ok()) return false;
        last = key;
        absl::StatusOr<rows::UnitRow> unit = ReadUnit(reader, place->unit);
        if (!unit.ok()) return true;  // Settled since the scan began.
        const std::optional<AttemptKey> attempt = IntentOf(*unit);
        if (!attempt) return true;  // So was this one.
        page.units.push_back({place->unit, place->destination, *attempt,
                              absl::FromUnixMicros(unit->intent().stamped_us()),
                              unit->in_doubt_count()});
        return true;
      });
  HOLDFAST_RETURN_IF_ERROR(bad);
  HOLDFAST_RETURN_IF_ERROR(reader.status());
  if (!end.complete) page.next_page_token = TokenAfter(last);
  return page;
}

absl::StatusOr<std::vector<QueueId>> ListStaleSubmissions(const TablesReader& reader,
                                                          absl::Time older_than, size_t max) {
  // Ids ascend with time, so the stale ones stand first.
  KeyRange range = PrefixRange(FamilyPrefix(KeyFamily::kChunk));
  range.to = ChunksOf(QueueId::FirstAt(older_than)).from;
  std::vector<QueueId> ids;
  while (ids.size() < max) {
    std::optional<ChunkParts> parts;
    reader.Scan(range.from, range.to, 1, [&parts](std::string_view key, std::string_view) {
      parts = DecodeChunkKey(key);
      return false;
    });
    HOLDFAST_RETURN_IF_ERROR(reader.status());
    if (!parts) break;
    ids.push_back(parts->queue_id);
    range.from = ChunksOf(parts->queue_id).to;
  }
  return ids;
}

absl::Status VisitLiveBodies(const TablesReader& reader,
                             const std::function<bool(const BodyRef&)>& visitor) {
  absl::Status bad;
  constexpr size_t kAllRows = ~size_t{0};
  const KeyRange messages = PrefixRange(FamilyPrefix(KeyFamily::kMessage));
  reader.Scan(messages.from, messages.to, kAllRows, [&](std::string_view, std::string_view value) {
    rows::MessageRow row;
    bad = DecodeRow(value, &row);
    for (const rows::BodyRefRow& body : row.bodies()) {
      if (bad.ok() && !visitor(FromRow(body))) bad = absl::CancelledError("ended by the visitor");
    }
    return bad.ok();
  });
  HOLDFAST_RETURN_IF_ERROR(bad);
  const KeyRange chunks = PrefixRange(FamilyPrefix(KeyFamily::kChunk));
  reader.Scan(chunks.from, chunks.to, kAllRows, [&](std::string_view, std::string_view value) {
    rows::ChunkRow row;
    bad = DecodeRow(value, &row);
    if (bad.ok() && !visitor(FromRow(row.body()))) {
      bad = absl::CancelledError("ended by the visitor");
    }
    return bad.ok();
  });
  HOLDFAST_RETURN_IF_ERROR(bad);
  return reader.status();
}

absl::StatusOr<std::vector<rows::AuditRow>> ListAudit(const TablesReader& reader, size_t max) {
  HOLDFAST_ASSIGN_OR_RETURN(rows::TotalsRow totals, ReadTotals(reader));
  std::vector<rows::AuditRow> audit;
  for (uint64_t at = totals.audit_next(); at > totals.audit_first() && audit.size() < max; --at) {
    std::optional<std::string> value = reader.Get(AuditKey(at - 1));
    HOLDFAST_RETURN_IF_ERROR(reader.status());
    if (!value) break;  // Replaced since the totals were read.
    HOLDFAST_RETURN_IF_ERROR(DecodeRow(*value, &audit.emplace_back()));
  }
  return audit;
}

std::string_view MessageStateName(MessageState state) {
  switch (state) {
    case MessageState::kAny:
      return "any";
    case MessageState::kActive:
      return "active";
    case MessageState::kDeferred:
      return "deferred";
    case MessageState::kHeld:
      return "held";
    case MessageState::kInDoubt:
      return "in doubt";
  }
  return "any";
}

}  // namespace holdfast::queue
