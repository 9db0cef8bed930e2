#include "queue/state/invariants.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include "base/text.h"
#include "proto/queue_rows.pb.h"
#include "queue/state/keys.h"
#include "queue/state/ledger.h"
#include "queue/state/rows.h"

namespace holdfast::queue {
namespace {

constexpr size_t kAllRows = std::numeric_limits<size_t>::max();

// Reads every row once, then compares what it found.
class Checker {
 public:
  Checker(const TablesReader& reader, size_t max) : reader_(reader), max_(max) {}

  std::vector<std::string> Run() {
    reader_.Scan("", "", kAllRows, [this](std::string_view key, std::string_view value) {
      Take(key, value);
      return true;
    });
    if (!reader_.status().ok()) Say("tables: {}", Message(reader_.status()));
    CheckUnits();
    CheckMessages();
    CheckDestinations();
    CheckRemembered();
    CheckUnconfirmed();
    CheckTotals();
    return std::move(findings_);
  }

 private:
  template <typename... Args>
  void Say(fmt::format_string<Args...> text, Args&&... args) {
    if (findings_.size() < max_) findings_.push_back(format(text, std::forward<Args>(args)...));
  }

  template <typename Row, typename Key>
  void Add(std::optional<Key> key, std::string_view value, std::string_view family,
           std::map<Key, Row>* to) {
    Row row;
    if (!key) return Say("{}: unreadable key", family);
    if (absl::Status decoded = DecodeRow(value, &row); !decoded.ok()) {
      return Say("{}: {}", family, Message(decoded));
    }
    to->emplace(*std::move(key), std::move(row));
  }

  void Take(std::string_view key, std::string_view value) {
    switch (static_cast<KeyFamily>(key.empty() ? '\0' : key[0])) {
      case KeyFamily::kMessage:
        return Add(DecodeQueueIdKey(key), value, "message", &messages_);
      case KeyFamily::kOpenUnit:
        return Add(DecodeUnitKey(key), value, "open unit", &open_);
      case KeyFamily::kEndedUnit:
        return Add(DecodeUnitKey(key), value, "ended unit", &ended_);
      case KeyFamily::kDestination:
        return Add(DecodeDestinationKey(key), value, "destination", &destinations_);
      case KeyFamily::kRemembered:
        return Add(DecodeQueueIdKey(key), value, "remembered id", &remembered_);
      case KeyFamily::kRememberedRing:
        return Add(DecodeNumberKey(key), value, "ring of remembered ids", &ring_);
      case KeyFamily::kUnconfirmed:
        return Add(DecodeUnconfirmedKey(key), value, "unconfirmed", &unconfirmed_);
      case KeyFamily::kUnconfirmedRing:
        return Add(DecodeNumberKey(key), value, "ring of unconfirmed", &unconfirmed_ring_);
      case KeyFamily::kAudit:
        return Add(DecodeNumberKey(key), value, "audit", &audit_);
      case KeyFamily::kUnitList:
      case KeyFamily::kWake:
        return TakeIndex(key, value);
      case KeyFamily::kChunk:
        return TakeChunk(key, value);
      case KeyFamily::kTotals:
        if (!DecodeRow(value, &totals_).ok()) Say("totals: unreadable");
        return;
      case KeyFamily::kStateVersion:
        return TakeVersion(value);
    }
    Say("a row of no family known");
  }

  void TakeVersion(std::string_view value) {
    rows::StateVersionRow row;
    if (!DecodeRow(value, &row).ok() || row.version() <= kFirstStateVersion) {
      Say("state version: unreadable, or the first one");
    }
  }

  void TakeIndex(std::string_view key, std::string_view value) {
    if (std::optional<WakeParts> wake = DecodeWakeKey(key)) {
      if (!wakes_.emplace(wake->destination, wake->wake_us).second) {
        Say("destination {}: two wake rows", wake->destination);
      }
      return;
    }
    std::optional<ListKey> place = DecodeListKey(key);
    std::optional<int64_t> expires = DecodeListValue(value);
    if (!place || !expires) return Say("unit list: unreadable row");
    if (!places_.emplace(place->unit, std::make_pair(*place, *expires)).second) {
      Say("unit {}: in two lists", place->unit.ToString());
    }
  }

  void TakeChunk(std::string_view key, std::string_view value) {
    std::optional<ChunkParts> parts = DecodeChunkKey(key);
    rows::ChunkRow row;
    if (!parts || !DecodeRow(value, &row).ok()) return Say("chunk: unreadable row");
    chunk_ids_.insert(parts->queue_id);
    ++chunks_;
    chunk_bytes_ += row.body().bytes();
    OwnBody(FromRow(row.body()), parts->queue_id);
  }

  void OwnBody(const BodyRef& body, const QueueId& owner) {
    auto [found, is_new] =
        bodies_.emplace(std::make_tuple(body.index, body.term, body.ordinal), owner);
    if (!is_new) Say("body of {} belongs to {} too", owner.text(), found->second.text());
  }

  void CheckUnits() {
    for (const auto& [key, row] : open_) {
      const std::string name = key.ToString();
      if (!messages_.contains(key.queue_id)) Say("unit {}: no message", name);
      auto place = places_.find(key);
      if (place == places_.end()) {
        Say("unit {}: in no list", name);
      } else {
        const auto& [at, expires] = place->second;
        if (at.list != ListOf(row) || at.destination != row.destination() ||
            at.due_us != row.due_us() || expires != row.expires_us()) {
          Say("unit {}: its list row says otherwise", name);
        }
      }
      uint32_t open = 0;
      for (const rows::RecipientRow& r : row.recipients()) open += r.end() == r.OPEN ? 1 : 0;
      if (open == 0) Say("unit {}: open without an open recipient", name);
      if (open != row.recipients_open()) Say("unit {}: miscounts its recipients", name);
      Count(row);
    }
    for (const auto& [key, row] : ended_) {
      if (!messages_.contains(key.queue_id)) Say("ended unit {}: no message", key.ToString());
      if (row.recipients_open() != 0 || open_.contains(key)) {
        Say("ended unit {}: is open", key.ToString());
      }
    }
    for (const auto& [key, place] : places_) {
      if (!open_.contains(key)) Say("unit {}: listed, but there is none", key.ToString());
    }
  }

  void Count(const rows::UnitRow& unit) {
    rows::DestinationRow& row = counted_[unit.destination()];
    switch (ListOf(unit)) {
      case UnitList::kReady:
        row.set_wake_us(row.ready_units() == 0 ? unit.due_us()
                                               : std::min(row.wake_us(), unit.due_us()));
        row.set_ready_units(row.ready_units() + 1);
        break;
      case UnitList::kIntent:
        row.set_intent_units(row.intent_units() + 1);
        break;
      case UnitList::kHeld:
        row.set_held_units(row.held_units() + 1);
        break;
    }
    row.set_recipients(row.recipients() + unit.recipients_open());
    accepted_[unit.destination()][unit.accepted_us() / 60'000'000] += unit.recipients_open();
  }

  void CheckMessages() {
    std::map<QueueId, std::multiset<uint32_t>> recipients;
    std::map<QueueId, uint32_t> units;
    std::set<QueueId> alive;
    for (const auto* family : {&open_, &ended_}) {
      for (const auto& [key, row] : *family) {
        ++units[key.queue_id];
        for (const rows::RecipientRow& r : row.recipients()) {
          recipients[key.queue_id].insert(r.recipient());
        }
      }
    }
    for (const auto& [key, row] : open_) {
      alive.insert(key.queue_id);
      auto message = messages_.find(key.queue_id);
      if (message != messages_.end() && message->second.held() != row.held()) {
        Say("unit {}: held apart from its message", key.ToString());
      }
    }
    for (const auto& [id, row] : messages_) {
      if (!alive.contains(id)) Say("message {}: no open unit", id.text());
      if (units[id] != row.unit_count()) Say("message {}: units are missing", id.text());
      std::multiset<uint32_t> all;
      for (int i = 0; i < row.envelope().recipients_size(); ++i) all.insert(i);
      if (recipients[id] != all) Say("message {}: recipients not once each", id.text());
      if (remembered_.contains(id)) Say("message {}: remembered as ended", id.text());
      if (chunk_ids_.contains(id)) Say("message {}: has chunks", id.text());
      for (const rows::BodyRefRow& body : row.bodies()) {
        OwnBody(FromRow(body), id);
        content_bytes_ += body.bytes();
      }
    }
  }

  void CheckDestinations() {
    for (auto& [destination, row] : destinations_) {
      rows::DestinationRow& counted = counted_[destination];
      if (row.ready_units() != counted.ready_units() ||
          row.intent_units() != counted.intent_units() ||
          row.held_units() != counted.held_units() || row.recipients() != counted.recipients()) {
        Say("destination {}: counters differ from a recount", destination);
      }
      auto wake = wakes_.find(destination);
      const bool wakes = wake != wakes_.end();
      if (wakes != (counted.ready_units() > 0)) Say("destination {}: wake row", destination);
      if (wakes && (wake->second != counted.wake_us() || row.wake_us() != wake->second)) {
        Say("destination {}: wakes at the wrong time", destination);
      }
      CheckAges(destination, row);
    }
    for (const auto& [destination, row] : counted_) {
      if (!destinations_.contains(destination)) Say("destination {}: no row", destination);
    }
    for (const auto& [destination, wake] : wakes_) {
      if (!destinations_.contains(destination)) Say("destination {}: only wakes", destination);
    }
  }

  void CheckAges(const std::string& destination, const rows::DestinationRow& row) {
    std::map<int64_t, uint64_t> minutes = accepted_[destination];
    uint64_t end = 0;
    for (const rows::AgeSlot& slot : row.ages()) {
      const uint64_t width = uint64_t{1} << slot.width_bits();
      if (slot.start() < end || slot.start() % width != 0) {
        Say("destination {}: ages overlap", destination);
      }
      end = slot.start() + width;
      uint64_t count = 0;
      auto from = minutes.lower_bound(static_cast<int64_t>(slot.start()));
      auto to = minutes.lower_bound(static_cast<int64_t>(end));
      for (auto at = from; at != to; ++at) count += at->second;
      minutes.erase(from, to);
      if (count != slot.count()) Say("destination {}: ages differ from a recount", destination);
    }
    if (!minutes.empty()) Say("destination {}: recipients without an age", destination);
  }

  void CheckRemembered() {
    std::set<std::string> in_ring;
    for (const auto& [number, row] : ring_) {
      if (number < totals_.remembered_first() || number >= totals_.remembered_next()) {
        Say("remembered {}: outside its ring", number);
      }
      in_ring.insert(row.queue_id());
    }
    if (ring_.size() != totals_.remembered_next() - totals_.remembered_first()) {
      Say("the ring of remembered ids has a gap");
    }
    if (in_ring.size() != remembered_.size()) Say("remembered ids and their ring differ");
    for (const auto& [id, row] : remembered_) {
      if (!in_ring.contains(id.ToString())) Say("remembered {}: not in the ring", id.text());
      if (chunk_ids_.contains(id)) Say("remembered {}: has chunks", id.text());
    }
    if (audit_.size() != totals_.audit_next() - totals_.audit_first()) {
      Say("the audit ring has a gap");
    }
  }

  void CheckUnconfirmed() {
    uint64_t messages = 0;
    for (const auto& [sha256, row] : unconfirmed_) {
      if (row.messages().empty()) Say("unconfirmed: a row of no message");
      for (const rows::UnconfirmedMessage& message : row.messages()) {
        ++messages;
        const auto ring = unconfirmed_ring_.find(message.number());
        if (ring == unconfirmed_ring_.end() || ring->second.sha256() != sha256 ||
            ring->second.queue_id() != message.queue_id() ||
            ring->second.forget_us() != message.forget_us()) {
          Say("unconfirmed {}: its ring says otherwise", message.queue_id());
        }
      }
    }
    if (messages != unconfirmed_ring_.size()) Say("unconfirmed messages and their ring differ");
    if (messages != totals_.unconfirmed()) {
      Say("totals: unconfirmed {}, counted {}", totals_.unconfirmed(), messages);
    }
    for (const auto& [number, row] : unconfirmed_ring_) {
      if (number < totals_.unconfirmed_first() || number >= totals_.unconfirmed_next()) {
        Say("unconfirmed {}: outside its ring", number);
      }
    }
  }

  void CheckTotals() {
    uint64_t held = 0;
    for (const auto& [id, row] : messages_) held += row.held() ? 1 : 0;
    uint64_t recipients = 0;
    uint64_t intents = 0;
    for (const auto& [key, row] : open_) {
      recipients += row.recipients_open();
      intents += ListOf(row) == UnitList::kIntent ? 1 : 0;
    }
    auto compare = [this](std::string_view what, uint64_t kept, uint64_t counted) {
      if (kept != counted) Say("totals: {} {}, counted {}", what, kept, counted);
    };
    compare("messages", totals_.messages(), messages_.size());
    compare("units", totals_.units(), open_.size());
    compare("recipients", totals_.recipients(), recipients);
    compare("held messages", totals_.held_messages(), held);
    compare("units with intents", totals_.intent_units(), intents);
    compare("destinations", totals_.destinations(), destinations_.size());
    compare("content bytes", totals_.content_bytes(), content_bytes_);
    compare("chunks", totals_.chunks(), chunks_);
    compare("chunk bytes", totals_.chunk_bytes(), chunk_bytes_);
  }

  const TablesReader& reader_;
  const size_t max_;
  std::vector<std::string> findings_;
  std::map<QueueId, rows::MessageRow> messages_;
  std::map<UnitKey, rows::UnitRow> open_;
  std::map<UnitKey, rows::UnitRow> ended_;
  std::map<UnitKey, std::pair<ListKey, int64_t>> places_;
  std::map<std::string, rows::DestinationRow> destinations_;
  std::map<std::string, rows::DestinationRow> counted_;
  std::map<std::string, std::map<int64_t, uint64_t>> accepted_;
  std::map<std::string, int64_t> wakes_;
  std::map<QueueId, rows::RememberedRow> remembered_;
  std::map<uint64_t, rows::RememberedRingRow> ring_;
  std::map<uint64_t, rows::AuditRow> audit_;
  std::map<std::string, rows::UnconfirmedRow> unconfirmed_;
  std::map<uint64_t, rows::UnconfirmedRingRow> unconfirmed_ring_;
  std::set<QueueId> chunk_ids_;
  std::map<std::tuple<uint64_t, uint64_t, uint32_t>, QueueId> bodies_;
  rows::TotalsRow totals_;
  uint64_t chunks_ = 0;
  uint64_t chunk_bytes_ = 0;
  uint64_t content_bytes_ = 0;
};

}  // namespace

std::vector<std::string> CheckInvariants(const TablesReader& reader, size_t max) {
  return Checker(reader, max).Run();
}

}  // namespace holdfast::queue
