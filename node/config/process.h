// node/config/process.h
// What the process does to itself around its start: file modes, the data directory, giving up root,
// and telling systemd how far it is.
// Threads: before any thread is started, but for NotifySystemd, which may be called from any.
// Errors:  a Status that names the path or the user and the system's reason.
#pragma once

#include <absl/status/status.h>

#include <string>
#include <string_view>

namespace holdfast::node {

// Files are ours alone from now on: umask 077, and no core dumps, which would hold mail and keys.
void SetPrivateFileModes();

// Makes `path` (and its parents) with mode 0700 if it is absent. An existing directory must be one,
// must be writable by us, and is set to 0700 if it is ours and others could look into it.
absl::Status EnsureDataDirectory(const std::string& path);

// Gives `path` and all in it that belongs to others to `user`, when we are root: a start as root
// must leave a directory that the dropped process can use. Symbolic links are not followed.
absl::Status GiveDirectoryTo(const std::string& path, const std::string& user);

// Becomes `user` for good: supplementary groups, group, user, in that order, and checks that root
// cannot be had back. Does nothing when we are that user already. Not root and not that user:
// kPermissionDenied. Empty: nothing.
absl::Status DropPrivileges(const std::string& user);

// Starts this program anew in this process, with the arguments that it was started with; all open
// files are closed. Callable on any thread, whatever the others do; returns only if it failed.
absl::Status RestartProcess();

// Whether this process can bind ports below 1024 now: root, or given the right by its service.
bool MayBindLowPorts();

// sd_notify(3) without libsystemd: sends `state` ("READY=1", "STOPPING=1", "STATUS=...") to the
// socket that NOTIFY_SOCKET names. OK, and nothing done, when there is none.
absl::Status NotifySystemd(std::string_view state);

}  // namespace holdfast::node
