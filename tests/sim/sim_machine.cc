#include "tests/sim/sim_machine.h"

#include <sstream>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/text.h"

namespace holdfast::raft_test {
namespace {

std::optional<std::string> Row(const raft::StateReader& rows, std::string_view key) {
  auto value = rows.Get(key);
  HOLDFAST_CHECK(value.ok()) << value.status();
  return *std::move(value);
}

}  // namespace

std::string AddCommand(uint64_t serial, uint64_t attempt) {
  return format("add {} {}", serial, attempt);
}
std::string EndCommand(uint64_t serial) { return format("end {}", serial); }

SimCommand ParseCommand(std::string_view text) {
  std::istringstream words{std::string(text)};
  std::string verb;
  SimCommand command;
  words >> verb >> command.serial;
  command.add = verb == "add";
  if (command.add) words >> command.attempt;
  HOLDFAST_CHECK(!words.fail() && (command.add || verb == "end")) << "no command: " << text;
  return command;
}

std::string AliveKey(uint64_t serial) { return format("m/{}", serial); }
std::string EndedKey(uint64_t serial) { return format("s/{}", serial); }

std::vector<raft::BodyRef> BodiesOfRow(GroupId group, std::string_view value) {
  std::istringstream words{std::string(value)};
  raft::BodyRef body;
  uint64_t attempt = 0;
  body.key.group = group;
  words >> body.key.index >> body.key.term >> attempt;
  HOLDFAST_CHECK(!words.fail()) << "no row of a serial: " << value;
  std::vector<raft::BodyRef> bodies;
  while (words >> body.bytes >> body.crc32c) {
    bodies.push_back(body);
    ++body.key.ordinal;
  }
  return bodies;
}

absl::Status SimMachine::LiveBodies(const raft::StateReader& rows, const BodyVisitor& visit) const {
  const auto end = rows.Scan("m/", "m0", ~size_t{0}, [&](std::string_view, std::string_view value) {
    for (const raft::BodyRef& body : BodiesOfRow(group_, value)) {
      if (!visit(body)) return false;
    }
    return true;
  });
  return end.status();
}

absl::Status SimMachine::Apply(const raft::CommittedEntry& entry, raft::StateBatch& batch) {
  SimApplied done;
  done.group = group_;
  done.index = entry.index;
  done.term = entry.term;
  done.command = std::string(entry.command);
  const SimCommand command = ParseCommand(entry.command);
  const absl::Status verdict =
      command.add ? Add(command, entry, batch, done) : End(command, batch, done);
  done.verdict = verdict.code();
  const std::string link =
      format("{} {} {} {} {}", Row(batch, kChainKey).value_or("0"), entry.index, entry.term,
             entry.command, static_cast<int>(verdict.code()));
  // Two sums of different lengths: equal by chance once in 2^64.
  done.chain = uint64_t{Crc32c(link)} << 32 | Crc32c(link, Crc32c(entry.command) + 1);
  batch.Put(kChainKey, std::to_string(done.chain));
  for (const raft::BodyKey& key : done.ended) batch.DeleteBody(key);
  watcher_.applied(done);
  return verdict;
}

absl::Status SimMachine::Add(const SimCommand& command, const raft::CommittedEntry& entry,
                             raft::StateBatch& batch, SimApplied& done) const {
  if (Row(batch, AliveKey(command.serial)) || Row(batch, EndedKey(command.serial))) {
    for (const raft::BodyRef& body : entry.bodies) done.ended.push_back(body.key);
    return MakeStatus(absl::StatusCode::kAlreadyExists, "serial {} is known", command.serial);
  }
  std::string row = format("{} {} {}", entry.index, entry.term, command.attempt);
  for (const raft::BodyRef& body : entry.bodies) {
    row += format(" {} {}", body.bytes, body.crc32c);
  }
  batch.Put(AliveKey(command.serial), row);
  return absl::OkStatus();
}

absl::Status SimMachine::End(const SimCommand& command, raft::StateBatch& batch,
                             SimApplied& done) const {
  const std::optional<std::string> row = Row(batch, AliveKey(command.serial));
  if (!row) return MakeStatus(absl::StatusCode::kNotFound, "no serial {}", command.serial);
  for (const raft::BodyRef& body : BodiesOfRow(group_, *row)) done.ended.push_back(body.key);
  std::istringstream words(*row);
  uint64_t index = 0;
  uint64_t term = 0;
  std::string attempt;
  words >> index >> term >> attempt;
  batch.Delete(AliveKey(command.serial));
  batch.Put(EndedKey(command.serial), attempt);
  return absl::OkStatus();
}

}  // namespace holdfast::raft_test
