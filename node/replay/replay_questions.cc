#include "node/replay/replay_questions.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include "base/mutex.h"
#include "node/peers/peer_calls.h"

namespace holdfast::node {

struct ReplayQuestions::Question {
  uint64_t number = 0;
  std::string sha256;
  SeenCallback done;
  absl::Duration until;      // Clock::SinceBoot().
  std::set<GroupId> groups;  // That have not answered.
  // Of those, how far rows must be that are as good an answer as the leader's.
  std::map<GroupId, raft::LogIndex> points;
  std::set<NodeId> unheard;  // Nodes that have not told of their own submissions.
  std::vector<SeenMessage> seen;
  std::set<std::string> confirmed;
  uint64_t round = 0;  // How often everybody was asked.
  // A submission like this is being decided somewhere: everybody is asked again, after a while.
  bool under_way = false;
  bool rests = false;

  // The first, of those that are not confirmed.
  std::optional<SeenMessage> Found() const {
    std::optional<SeenMessage> first;
    for (const SeenMessage& message : seen) {
      if (confirmed.contains(message.queue_id)) continue;
      if (!first || message.queue_id < first->queue_id) first = message;
    }
    return first;
  }
};

struct ReplayQuestions::Call {
  NodeId to;
  std::vector<std::shared_ptr<Question>> questions;
  std::vector<uint64_t> rounds;  // Of the questions, when this was sent.
  std::set<GroupId> groups;

  // nullptr: there is none at that place, or everybody was asked again since: what was true before
  // says nothing.
  Question* At(size_t place) const {
    if (place >= questions.size() || rounds[place] != questions[place]->round) return nullptr;
    return questions[place].get();
  }

  peer_call::DidYouSee Request() const {
    peer_call::DidYouSee request;
    for (const auto& question : questions) request.add_sha256(question->sha256);
    for (const GroupId group : groups) request.add_groups(group.value());
    return request;
  }
};

struct ReplayQuestions::Answered {
  SeenCallback done;
  absl::StatusOr<std::optional<SeenMessage>> answer;
};

struct ReplayQuestions::Shared {
  Shared(Parts given, const ReplayQuestionsOptions& chosen)
      : parts(std::move(given)), options(chosen) {}

  void AskEverybody(Question& question) const {
    ++question.round;
    question.under_way = false;
    question.seen.clear();
    question.points.clear();
    for (uint32_t group = 1; group <= options.queue_groups; ++group) {
      question.groups.insert(GroupId{group});
    }
    const std::vector<NodeId> heard = parts.heard();
    question.unheard = {heard.begin(), heard.end()};
    question.unheard.insert(options.self);
  }

  // The call that `node` should get now; nullptr: none.
  std::shared_ptr<Call> CallFor(NodeId node, const std::set<GroupId>& led)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    if (out.contains(node) || resting.contains(node)) return nullptr;
    auto call = std::make_shared<Call>();
    call->to = node;
    for (const auto& [number, question] : open) {
      if (call->questions.size() >= kFingerprintsPerQuestionMax) break;
      if (question->rests) continue;
      bool wanted = question->unheard.contains(node);
      for (const GroupId group : led) {
        if (!question->groups.contains(group)) continue;
        wanted = true;
        call->groups.insert(group);
      }
      if (!wanted) continue;
      call->questions.push_back(question);
      call->rounds.push_back(question->round);
    }
    if (call->questions.empty()) return nullptr;
    out.insert(node);
    return call;
  }

  void TakeAnswer(const Call& call, const absl::StatusOr<peer_call::DidYouSee>& answer)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    out.erase(call.to);
    if (!answer.ok()) {
      resting.insert(call.to);
      return;
    }
    std::set<GroupId> answered = call.groups;
    for (const uint32_t group : answer->unanswered()) answered.erase(GroupId{group});
    for (const peer_call::GroupPoint& point : answer->points())
      answered.erase(GroupId{point.group()});
    if (answered.size() < call.groups.size()) resting.insert(call.to);
    for (size_t place = 0; place < call.questions.size(); ++place) {
      Question* const question = call.At(place);
      if (question == nullptr) continue;
      question->unheard.erase(call.to);
      for (const GroupId group : answered) question->groups.erase(group);
      for (const peer_call::GroupPoint& point : answer->points()) {
        const GroupId group{point.group()};
        if (!call.groups.contains(group) || !question->groups.contains(group)) continue;
        // Each that was confirmed since everybody was asked will do: the first is the lowest.
        question->points.emplace(group, point.index());
      }
    }
    for (const peer_call::SeenSubmission& confirmed : answer->confirmed()) {
      Question* const question = call.At(confirmed.place());
      if (question != nullptr) question->confirmed.insert(confirmed.queue_id());
    }
    for (const peer_call::SeenSubmission& seen : answer->seen()) {
      Question* const question = call.At(seen.place());
      if (question != nullptr) question->seen.push_back({GroupId{seen.group()}, seen.queue_id()});
    }
    for (const uint32_t place : answer->under_way()) {
      Question* const question = call.At(place);
      if (question != nullptr) question->under_way = true;
    }
  }

  struct Looked {
    std::shared_ptr<Question> question;
    uint64_t round = 0;
    GroupId group;
    raft::LogIndex point = 0;
    std::optional<SeenMessage> found;
  };
  std::vector<Looked> ToLookFor() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    std::vector<Looked> all;
    for (const auto& [number, question] : open) {
      for (const auto& [group, point] : question->points) {
        if (question->groups.contains(group)) {
          all.push_back({question, question->round, group, point, std::nullopt});
        }
      }
    }
    return all;
  }
  // False: these rows have not come as far, or can't be read.
  bool LookInRows(Looked& look) const {
    if (parts.applied(look.group) < look.point) return false;
    const auto found = parts.find(look.group, look.question->sha256);
    if (!found.ok()) return false;
    if (*found) look.found = SeenMessage{look.group, (*found)->ToString()};
    return true;
  }

  // Ends those that have all their answers.
  std::vector<Answered> Settle(const std::vector<std::shared_ptr<Question>>& questions)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    std::vector<Answered> settled;
    for (const auto& question : questions) {
      if (!question->groups.empty() || !question->unheard.empty()) continue;
      std::optional<SeenMessage> found = question->Found();
      if (!found && question->under_way) {
        question->rests = true;
        continue;
      }
      if (open.erase(question->number) == 0) continue;
      settled.push_back({std::move(question->done), std::move(found)});
    }
    return settled;
  }

  // Ends those whose time is up. What was found is as true as it would have been later.
  std::vector<Answered> Expire(absl::Duration now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    std::vector<Answered> late;
    while (!open.empty() && open.begin()->second->until <= now) {
      const std::shared_ptr<Question> question = open.begin()->second;
      open.erase(open.begin());
      std::optional<SeenMessage> found = question->Found();
      Answered& one = late.emplace_back(Answered{std::move(question->done), std::move(found)});
      if (one.answer->has_value()) continue;
      one.answer = absl::UnavailableError(
          "not every queue group could say whether this message was accepted before");
    }
    return late;
  }

  const Parts parts;
  const ReplayQuestionsOptions options;
  Mutex mutex;
  // In the order in which their time is up.
  std::map<uint64_t, std::shared_ptr<Question>> open ABSL_GUARDED_BY(mutex);
  uint64_t next_number ABSL_GUARDED_BY(mutex) = 1;
  std::set<NodeId> out ABSL_GUARDED_BY(mutex);
  // Asked again from the next tick on.
  std::set<NodeId> resting ABSL_GUARDED_BY(mutex);
  bool looks ABSL_GUARDED_BY(mutex) = false;  // Look() will run.
  bool stopped ABSL_GUARDED_BY(mutex) = false;
};

ReplayQuestions::ReplayQuestions(Parts parts, const ReplayQuestionsOptions& options)
    : shared_(std::make_shared<Shared>(std::move(parts), options)) {}

ReplayQuestions::~ReplayQuestions() { Stop(); }

void ReplayQuestions::Ask(const std::string& sha256, SeenCallback done) {
  auto question = std::make_shared<Question>();
  question->sha256 = sha256;
  question->until = shared_->parts.clock.SinceBoot() + shared_->options.timeout;
  shared_->AskEverybody(*question);
  absl::Status refused;
  {
    MutexLock lock(shared_->mutex);
    if (shared_->stopped) {
      refused = absl::UnavailableError("the node is stopping");
    } else if (shared_->open.size() >= shared_->options.waiting_max) {
      refused = absl::ResourceExhaustedError("too many messages wait for an answer about replays");
    } else {
      question->done = std::move(done);
      question->number = shared_->next_number++;
      shared_->open.emplace(question->number, question);
    }
  }
  if (!refused.ok()) return done(refused);
  Pump(shared_);
}

void ReplayQuestions::Pump(const std::shared_ptr<Shared>& shared) {
  {
    MutexLock lock(shared->mutex);
    if (shared->stopped || shared->open.empty()) return;
  }
  const Parts& parts = shared->parts;
  std::map<NodeId, std::set<GroupId>> nodes;
  for (const NodeId node : parts.heard()) nodes[node];
  nodes[shared->options.self];
  for (uint32_t group = 1; group <= shared->options.queue_groups; ++group) {
    const KnownLeader leader = parts.leader_of(GroupId{group});
    // Elected here and not ready yet: later.
    if (leader.node == NodeId{} || (leader.node == shared->options.self && !leader.here)) continue;
    nodes[leader.node].insert(GroupId{group});
  }
  std::vector<std::shared_ptr<Call>> calls;
  {
    MutexLock lock(shared->mutex);
    if (shared->stopped) return;
    for (const auto& [node, led] : nodes) {
      std::shared_ptr<Call> call = shared->CallFor(node, led);
      if (call != nullptr) calls.push_back(std::move(call));
    }
  }
  for (const std::shared_ptr<Call>& call : calls) {
    parts.ask(call->to, call->Request(), shared->options.timeout,
              [shared, call](const absl::StatusOr<peer_call::DidYouSee>& answer) {
                OnAnswer(shared, call, answer);
              });
  }
}

void ReplayQuestions::OnAnswer(const std::shared_ptr<Shared>& shared,
                               const std::shared_ptr<Call>& call,
                               const absl::StatusOr<peer_call::DidYouSee>& answer) {
  std::vector<Answered> settled;
  {
    MutexLock lock(shared->mutex);
    if (shared->stopped) return;
    shared->TakeAnswer(*call, answer);
    settled = shared->Settle(call->questions);
  }
  for (Answered& one : settled) one.done(std::move(one.answer));
  if (answer.ok() && answer->points_size() > 0) LookSoon(shared);
  Pump(shared);
}

void ReplayQuestions::LookSoon(const std::shared_ptr<Shared>& shared) {
  {
    MutexLock lock(shared->mutex);
    if (shared->stopped || shared->looks) return;
    const bool wanted = std::any_of(shared->open.begin(), shared->open.end(),
                                    [](const auto& open) { return !open.second->points.empty(); });
    if (!wanted) return;
    shared->looks = true;
  }
  shared->parts.look([shared] { Look(shared); });
}

void ReplayQuestions::Look(const std::shared_ptr<Shared>& shared) {
  std::vector<Shared::Looked> all;
  {
    MutexLock lock(shared->mutex);
    shared->looks = false;
    if (shared->stopped) return;
    all = shared->ToLookFor();
  }
  std::erase_if(all, [&shared](Shared::Looked& one) { return !shared->LookInRows(one); });
  std::vector<Answered> settled;
  {
    MutexLock lock(shared->mutex);
    if (shared->stopped) return;
    std::vector<std::shared_ptr<Question>> questions;
    for (Shared::Looked& one : all) {
      if (one.round != one.question->round) continue;
      one.question->points.erase(one.group);
      if (one.question->groups.erase(one.group) == 0) continue;
      if (one.found) one.question->seen.push_back(*std::move(one.found));
      questions.push_back(one.question);
    }
    settled = shared->Settle(questions);
  }
  for (Answered& one : settled) one.done(std::move(one.answer));
}

void ReplayQuestions::Tick() {
  std::vector<Answered> ended;
  const std::vector<NodeId> heard = shared_->parts.heard();
  std::set<NodeId> present(heard.begin(), heard.end());
  present.insert(shared_->options.self);
  {
    MutexLock lock(shared_->mutex);
    ended = shared_->Expire(shared_->parts.clock.SinceBoot());
    shared_->resting.clear();
    std::vector<std::shared_ptr<Question>> open;
    for (auto& [number, question] : shared_->open) {
      if (std::exchange(question->rests, false)) shared_->AskEverybody(*question);
      // What a silent node knew of its own submissions is not waited for.
      std::erase_if(question->unheard, [&](NodeId node) { return !present.contains(node); });
      open.push_back(question);
    }
    std::vector<Answered> settled = shared_->Settle(open);
    std::move(settled.begin(), settled.end(), std::back_inserter(ended));
  }
  for (Answered& one : ended) one.done(std::move(one.answer));
  LookSoon(shared_);
  Pump(shared_);
}

void ReplayQuestions::Stop() {
  std::map<uint64_t, std::shared_ptr<Question>> all;
  {
    MutexLock lock(shared_->mutex);
    shared_->stopped = true;
    all.swap(shared_->open);
  }
  for (const auto& [number, question] : all) {
    question->done(absl::UnavailableError("the node is stopping"));
  }
}

}  // namespace holdfast::node
