// node/delivery/attempt_notes.h
// AttemptNotes remembers, across a crash of the process, which units it was attempting, and how
// many crashes in a row each was there. A unit that is always there is suspected of being the
// cause: its message gets quarantined instead of being tried in a crash loop (docs/decisions/009).
//
//   auto notes = AttemptNotes::Open(path, options);     // counts what the last process left behind
//   if (notes->Of(unit) == Suspicion::kQuarantine) ...  // hold the message
//   notes->Begin(unit);  ...  notes->End(unit);         // well ended: its crashes are forgotten
//   notes->Close();                                     // a stop that is no crash
//
// The notes are a file mapped into memory: writing one costs no system call and no sync, and it
// survives whatever ends the process (signal, failed check, SIGKILL). It need not survive a loss of
// power, which no message causes.
//
// Threads:  owned by the apply context; Open() and Close() while that does not run.
// Errors:   Open() only. A file of another format or with nonsense in it starts empty: notes guard
//           against a loop, nothing is lost with them.
// Limits:   `units_max` notes; when all are taken, the least suspect unit that is not being
// attempted
//           is forgotten.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "queue/state/queue_types.h"

namespace holdfast::node {

struct AttemptNotesOptions {
  uint32_t units_max = 2048;
  // Crashes in a row with the unit under way; at least 1.
  uint32_t quarantine_after = 3;
};

enum class Suspicion {
  kNone,
  // One crash short of quarantine: attempt it while no other suspect is under way, so that the next
  // crash tells them apart.
  kAttemptAlone,
  kQuarantine,
};

class AttemptNotes {
 public:
  static absl::StatusOr<std::unique_ptr<AttemptNotes>> Open(const std::string& path,
                                                            const AttemptNotesOptions& options);
  // As a crash would, unless Close() was called.
  ~AttemptNotes();
  AttemptNotes(const AttemptNotes&) = delete;
  AttemptNotes& operator=(const AttemptNotes&) = delete;

  Suspicion Of(const queue::UnitKey& unit) const;
  uint32_t CrashesOf(const queue::UnitKey& unit) const;

  // Our code works on the unit from here on.
  void Begin(const queue::UnitKey& unit);
  // It came to an end, whatever that was; without Begin() nothing happens.
  void End(const queue::UnitKey& unit);
  // It was given up before it could prove harmless: its crashes stay counted.
  void Interrupt(const queue::UnitKey& unit);
  // The message was released by an operator: a fresh start for all its units.
  void Forget(const queue::QueueId& message);

  void Close();

 private:
  struct Slot;

  AttemptNotes(const AttemptNotesOptions& options, void* memory, size_t bytes);
  void TakeOver();
  void Clear(uint32_t slot);
  uint32_t SlotFor(const queue::UnitKey& unit);

  const AttemptNotesOptions options_;
  void* const memory_;
  const size_t bytes_;
  std::span<Slot> slots_;
  std::vector<uint32_t> free_;
  std::map<queue::UnitKey, uint32_t> by_unit_;
};

}  // namespace holdfast::node
