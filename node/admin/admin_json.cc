#include "node/admin/admin_json.h"

#include <google/protobuf/message.h>
#include <google/protobuf/util/json_util.h>

namespace holdfast::node {

std::string AdminJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string json;
  if (!google::protobuf::util::MessageToJsonString(message, &json, options).ok()) json.clear();
  return json;
}

}  // namespace holdfast::node
