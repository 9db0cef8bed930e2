// node/admin/admin_json.h
// Admin messages as JSON, by the same mapping as `holdfast --output json`: field names as in
// admin.proto, fields without a value written too, 64-bit numbers as strings.
// Threads: functions without state.
#pragma once

#include <string>

namespace google::protobuf {
class Message;
}

namespace holdfast::node {

// One line. Empty only if the message holds a value that JSON has no form for.
std::string AdminJson(const google::protobuf::Message& message);

}  // namespace holdfast::node
