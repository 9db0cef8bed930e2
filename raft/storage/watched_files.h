// raft/storage/watched_files.h
// An Env whose writable files report the first failed write or sync to a latch at once, before
// RocksDB sees it. RocksDB keeps state of its own about failed files and in some builds ends the
// process by an assertion; the operator should read instead what failed, and that the disk is full.
// Private to raft/storage: includes rocksdb.
// Threads: thread-safe, as the Env beneath. Lifetime: outlives the database.
#pragma once

#include <rocksdb/env.h>

#include <functional>
#include <memory>
#include <string>

namespace holdfast::raft {

// `failed` is called with words for people at every failure, on any thread; it may return, and then
// RocksDB gets the failure too. `base` outlives the Env.
std::unique_ptr<rocksdb::Env> WatchFiles(rocksdb::Env* base,
                                         std::function<void(const std::string&)> failed);

}  // namespace holdfast::raft
