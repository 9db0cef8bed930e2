// raft/host/fill_bodies.h
// Puts the bytes of bodies into a message that is about to leave (GroupHost::FillBodies()). Private
// to raft/host.
// Threads: any; reads the store.
#pragma once

#include <functional>

#include "base/status.h"
#include "base/strong_id.h"
#include "raft/core/raft_types.h"
#include "raft/host/body_mender.h"
#include "raft/host/host_mutation.h"
#include "raft/storage/store.h"

namespace holdfast::raft {

// Told of a body that is of no use here and that no other member could give just now, with what
// came of asking them. Called as BodyMender::Done, which may be in FillBodies().
using BodyLost = std::function<void(const BodyKey&, const absl::Status&)>;

// Of all bodies that have no bytes yet: those, or the index that ended them. kUnavailable: a body
// is neither here nor known to have ended, or can't be read. kDataLoss: it is damaged. Of a body
// that must be here `mender` is told, and if that does not help, `lost` is.
absl::Status FillBodies(const Store& store, HostMutation mutation, BodyMender& mender,
                        const BodyLost& lost, GroupId group, Message& message);

}  // namespace holdfast::raft
