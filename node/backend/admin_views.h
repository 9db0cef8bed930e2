// node/backend/admin_views.h
// The queue's views as the messages of the admin service.
// Threads: pure functions.
#pragma once

#include "base/strong_id.h"
#include "proto/admin.pb.h"
#include "queue/queue_view.h"

namespace holdfast::node {

queue::QueueFilter FilterOf(const admin::QueueFilter& filter);
void FillEntry(const queue::MessageView& view, GroupId group, admin::QueueEntry* entry);
void FillShow(const queue::MessageView& view, GroupId group, admin::QueueShowResponse* response);
void SetTimestamp(absl::Time time, google::protobuf::Timestamp* out);

}  // namespace holdfast::node
