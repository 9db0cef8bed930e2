// base/strong_id.h
// StrongId makes ids of different things different types, so that a group can't be passed where a
// node is expected. Ordered, hashable, printable; no arithmetic.
//
//   using GroupId = StrongId<struct GroupIdTag, uint32_t>;
//
// Threads: a value.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <ostream>

namespace holdfast {

template <typename Tag, typename Rep>
class StrongId {
 public:
  using rep = Rep;
  constexpr StrongId() = default;
  constexpr explicit StrongId(Rep value) : value_(value) {}

  constexpr Rep value() const { return value_; }
  constexpr auto operator<=>(const StrongId&) const = default;

  template <typename H>
  friend H AbslHashValue(H state, StrongId id) {
    return H::combine(std::move(state), id.value_);
  }
  friend std::ostream& operator<<(std::ostream& out, StrongId id) { return out << id.value_; }

 private:
  Rep value_{};
};

// Ids that more than one room speaks of. 0 is never a valid node, and is the control group.
using NodeId = StrongId<struct NodeIdTag, uint64_t>;
using GroupId = StrongId<struct GroupIdTag, uint32_t>;

inline constexpr GroupId kControlGroup{0};

}  // namespace holdfast

template <typename Tag, typename Rep>
struct std::hash<holdfast::StrongId<Tag, Rep>> {
  size_t operator()(holdfast::StrongId<Tag, Rep> id) const { return std::hash<Rep>()(id.value()); }
};
