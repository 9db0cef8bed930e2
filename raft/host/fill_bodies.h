// raft/host/fill_bodies.h
// Puts the bytes of bodies into a message that is about to leave (GroupHost::FillBodies()). Private
// to raft/host.
// Threads: any; reads the store.
#pragma once

#include "base/status.h"
#include "base/strong_id.h"
#include "raft/core/raft_types.h"
#include "raft/host/body_mender.h"
#include "raft/host/host_mutation.h"
#include "raft/storage/store.h"

namespace holdfast::raft {

// Of all bodies that have no bytes yet: those, or the index that ended them. kUnavailable: a body
// is neither here nor known to have ended. kDataLoss: it is damaged, and `mender` was told.
absl::Status FillBodies(const Store& store, HostMutation mutation, BodyMender& mender,
                        GroupId group, Message& message);

}  // namespace holdfast::raft
