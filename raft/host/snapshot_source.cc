#include "raft/host/snapshot_source.h"

#include <algorithm>
#include <chrono>
#include <optional>

namespace holdfast::raft {
namespace {

// The apply context may be busy with a large batch, but not for so long.
constexpr int kViewWaitsMax = 400;
constexpr auto kViewWait = std::chrono::milliseconds(50);
// Pieces of a slow source are short, so that each comes long before the peer gives up.
constexpr uint64_t kPieceBytesMin = 16 << 10;
constexpr uint64_t kPiecesPerSecondMin = 8;

uint64_t PieceBytes(const SnapshotOptions& options) {
  uint64_t bytes = std::min(options.piece_bytes_max, kFetchPieceBytesMax);
  if (options.bytes_per_second != 0) {
    const uint64_t slow = options.bytes_per_second / kPiecesPerSecondMin;
    bytes = std::min(bytes, std::max(slow, kPieceBytesMin));
  }
  return std::max<uint64_t>(bytes, 1);
}

SnapshotLimits LimitsOf(const SnapshotOptions& options) {
  SnapshotLimits limits;
  limits.keys_max = options.request_keys_max;
  limits.record_bytes_max = options.record_bytes_max;
  return limits;
}

// A view on its way from the apply context to the thread that wants it.
struct Opening {
  Mutex mutex;
  CondVar changed;
  std::optional<absl::StatusOr<std::unique_ptr<StateView>>> view ABSL_GUARDED_BY(mutex);
};

}  // namespace

absl::StatusOr<LogIndex> ElidedBy(const Store& store, const BodyKey& key) {
  HOLDFAST_ASSIGN_OR_RETURN(const GroupRecord record, store.LoadGroup(key.group));
  if (record.applied < key.index || record.applied < record.elided_through) {
    return MakeStatus(absl::StatusCode::kUnavailable,
                      "group {}: a body of entry {} is not here and not known to have ended",
                      key.group.value(), key.index);
  }
  return record.applied;
}

// Says "still waiting", and has no answer.
class SnapshotSources::NoSource final : public FetchSource {
 public:
  absl::StatusOr<std::string> Next() override { return std::string(); }
};

class SnapshotSources::Source : public FetchSource {
 public:
  Source(std::shared_ptr<SnapshotSources> sources, NodeId peer, GroupId group)
      : sources_(std::move(sources)),
        peer_(peer),
        group_(group),
        piece_bytes_(PieceBytes(sources_->options_)) {}
  ~Source() override { sources_->DropSource(); }

  absl::StatusOr<std::string> Next() final {
    sources_->NoteAsked(peer_, group_);
    sources_->Pace(std::exchange(unpaid_bytes_, 0));
    while (!ended_ && cutter_.waiting_bytes() < piece_bytes_) {
      if (sources_->stopping()) return absl::CancelledError("the node is stopping");
      HOLDFAST_ASSIGN_OR_RETURN(const bool more, AddRecords(cutter_));
      ended_ = !more;
      if (ended_) cutter_.Add(EndRecord{});
    }
    std::string piece = cutter_.Take(piece_bytes_);
    unpaid_bytes_ = piece.size();
    return piece;
  }

 protected:
  // Adds one record, or a few; false: nothing is left.
  virtual absl::StatusOr<bool> AddRecords(RecordCutter& cutter) = 0;

  SnapshotSources& sources() { return *sources_; }
  GroupId group() const { return group_; }

 private:
  const std::shared_ptr<SnapshotSources> sources_;
  const NodeId peer_;
  const GroupId group_;
  const uint64_t piece_bytes_;
  RecordCutter cutter_;
  bool ended_ = false;
  uint64_t unpaid_bytes_ = 0;
};

class SnapshotSources::RowSource final : public SnapshotSources::Source {
 public:
  RowSource(std::shared_ptr<SnapshotSources> sources, NodeId peer, GroupId group)
      : Source(std::move(sources), peer, group) {}

 private:
  absl::StatusOr<bool> AddRecords(RecordCutter& cutter) override {
    if (view_ == nullptr) {
      HOLDFAST_ASSIGN_OR_RETURN(view_, OpenView());
      cutter.Add(view_->mark());
      return true;
    }
    HOLDFAST_ASSIGN_OR_RETURN(const std::vector<StateView::Row> rows,
                              view_->Next(sources().options_.rows_bytes));
    if (!rows.empty()) cutter.Add(rows);
    return !rows.empty();
  }

  absl::StatusOr<std::unique_ptr<StateView>> OpenView() {
    const Store& store = sources().store_;
    const GroupId group = this->group();
    // One thread for everything: this is the apply context too.
    if (sources().apply_.InContext()) return store.OpenStateView(group);
    auto opening = std::make_shared<Opening>();
    const bool posted =
        sources().apply_.TryPost([opening, &store, group, sources = sources().shared_from_this()] {
          auto view = sources->stopping() ? absl::StatusOr<std::unique_ptr<StateView>>(
                                                absl::CancelledError("the node is stopping"))
                                          : store.OpenStateView(group);
          MutexLock lock(opening->mutex);
          opening->view = std::move(view);
          opening->changed.NotifyAll();
        });
    if (!posted) return absl::ResourceExhaustedError("the apply context is busy");
    for (int i = 0; i < kViewWaitsMax && !sources().stopping(); ++i) {
      MutexLock lock(opening->mutex);
      if (!opening->view) opening->changed.WaitFor(opening->mutex, kViewWait);
      if (opening->view) return *std::exchange(opening->view, std::nullopt);
    }
    return absl::UnavailableError("the rows could not be looked at in time");
  }

  std::unique_ptr<StateView> view_;
};

class SnapshotSources::BodySource final : public SnapshotSources::Source {
 public:
  BodySource(std::shared_ptr<SnapshotSources> sources, NodeId peer, BodiesRequest request)
      : Source(std::move(sources), peer, request.group),
        keys_(std::move(request.keys)),
        mending_(request.mending) {}

 private:
  absl::StatusOr<bool> AddRecords(RecordCutter& cutter) override {
    if (next_ == keys_.size()) return false;
    const uint32_t position = next_++;
    const BodyKey& key = keys_[position];
    absl::StatusOr<Body> body = sources().store_.ReadBody(key);
    if (body.ok()) {
      sent_bytes_ += (*body)->size();
      // A peer of our own kind never asks for more; the largest body alone is always allowed.
      if (position > 0 && sent_bytes_ > sources().options_.request_body_bytes_max) {
        return absl::ResourceExhaustedError("too many bytes in one request");
      }
      cutter.Add(BodyRecord{position, **body});
      return true;
    }
    const bool damaged = body.status().code() == absl::StatusCode::kDataLoss;
    if (damaged && !mending_ && sources().damaged_) sources().damaged_(key);
    if (body.status().code() != absl::StatusCode::kNotFound) return body.status();
    HOLDFAST_ASSIGN_OR_RETURN(const LogIndex by, ElidedBy(sources().store_, key));
    cutter.Add(ElidedRecord{position, by});
    return true;
  }

  const std::vector<BodyKey> keys_;
  const bool mending_;
  uint32_t next_ = 0;
  uint64_t sent_bytes_ = 0;
};

SnapshotSources::SnapshotSources(const SnapshotOptions& options, const Store& store, Context& apply,
                                 const Clock& clock, std::function<void(const BodyKey&)> damaged)
    : options_(options),
      store_(store),
      apply_(apply),
      clock_(clock),
      damaged_(std::move(damaged)),
      rate_(options.bytes_per_second, PieceBytes(options)) {}

absl::StatusOr<std::unique_ptr<FetchSource>> SnapshotSources::Open(NodeId peer,
                                                                   std::string_view request) {
  HOLDFAST_ASSIGN_OR_RETURN(SnapshotRequest asked,
                            DecodeSnapshotRequest(request, LimitsOf(options_)));
  if (const auto* waiting = std::get_if<WaitingRequest>(&asked)) {
    for (GroupId group : waiting->groups) {
      if (store_.LoadGroup(group).ok()) NoteAsked(peer, group);
    }
    return std::make_unique<NoSource>();
  }
  auto* bodies = std::get_if<BodiesRequest>(&asked);
  const GroupId group = bodies != nullptr ? bodies->group : std::get<RowsRequest>(asked).group;
  HOLDFAST_RETURN_IF_ERROR(store_.LoadGroup(group).status());
  NoteAsked(peer, group);
  if (stopping()) return absl::CancelledError("the node is stopping");
  if (!AddSource()) {
    return MakeStatus(absl::StatusCode::kResourceExhausted, "{} snapshots are being sent already",
                      options_.sources_max);
  }
  if (bodies != nullptr) {
    return std::make_unique<BodySource>(shared_from_this(), peer, std::move(*bodies));
  }
  return std::make_unique<RowSource>(shared_from_this(), peer, group);
}

void SnapshotSources::Stop() {
  MutexLock lock(mutex_);
  stopping_ = true;
  stopped_.NotifyAll();
}

absl::Duration SnapshotSources::LastAsked(NodeId peer, GroupId group) const {
  MutexLock lock(mutex_);
  const auto found = asked_.find({peer, group});
  return found == asked_.end() ? -absl::InfiniteDuration() : found->second;
}

void SnapshotSources::NoteAsked(NodeId peer, GroupId group) {
  MutexLock lock(mutex_);
  asked_[{peer, group}] = clock_.SinceBoot();
}

bool SnapshotSources::AddSource() {
  MutexLock lock(mutex_);
  if (open_ >= options_.sources_max) return false;
  ++open_;
  return true;
}

void SnapshotSources::DropSource() {
  MutexLock lock(mutex_);
  --open_;
}

bool SnapshotSources::stopping() const {
  MutexLock lock(mutex_);
  return stopping_;
}

void SnapshotSources::Pace(uint64_t bytes) {
  if (bytes == 0) return;
  MutexLock lock(mutex_);
  const absl::Duration wait = rate_.Take(bytes, clock_.SinceBoot());
  const auto end = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(wait);
  while (!stopping_) {
    const auto left = end - std::chrono::steady_clock::now();
    if (left <= std::chrono::nanoseconds(0)) return;
    stopped_.WaitFor(mutex_, std::chrono::ceil<std::chrono::milliseconds>(left));
  }
}

}  // namespace holdfast::raft
