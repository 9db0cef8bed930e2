#include "queue/state/command_codec.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/unknown_field_set.h>

#include <limits>
#include <vector>

#include "base/utf8.h"
#include "proto/command.pb.h"

namespace holdfast::queue {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// Depth is bounded by the schema (no command nests in itself) and by protobuf's own parser.
absl::Status CheckKnown(const Message& message) {
  const Reflection* reflection = message.GetReflection();
  if (reflection->GetUnknownFields(message).field_count() > 0) {
    return MakeStatus(absl::StatusCode::kUnimplemented, "unknown field {} in {}",
                      reflection->GetUnknownFields(message).field(0).number(),
                      message.GetDescriptor()->full_name());
  }
  std::vector<const FieldDescriptor*> fields;
  reflection->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_ENUM && !field->is_repeated()) {
      const int value = reflection->GetEnumValue(message, field);
      if (field->enum_type()->FindValueByNumber(value) == nullptr) {
        return MakeStatus(absl::StatusCode::kUnimplemented, "unknown value {} of {}", value,
                          field->full_name());
      }
    }
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    const int count = field->is_repeated() ? reflection->FieldSize(message, field) : 1;
    for (int i = 0; i < count; ++i) {
      const Message& part = field->is_repeated() ? reflection->GetRepeatedMessage(message, field, i)
                                                 : reflection->GetMessage(message, field);
      HOLDFAST_RETURN_IF_ERROR(CheckKnown(part));
    }
  }
  return absl::OkStatus();
}

// Fields whose bytes decide where mail goes may not be mended.
bool IsExact(const FieldDescriptor* field) {
  const std::string& name = field->name();
  return name == "address" || name == "sender" || name == "destination" || name == "orcpt" ||
         name == "envid" || name == "queue_id" || name == "queue_ids" || name == "policy_text";
}

absl::Status MendTexts(Message* message);

absl::Status MendString(Message* message, const FieldDescriptor* field) {
  const Reflection* reflection = message->GetReflection();
  const int count = field->is_repeated() ? reflection->FieldSize(*message, field) : 1;
  for (int i = 0; i < count; ++i) {
    std::string text = field->is_repeated() ? reflection->GetRepeatedString(*message, field, i)
                                            : reflection->GetString(*message, field);
    if (IsUtf8(text)) continue;
    if (IsExact(field)) {
      return MakeStatus(absl::StatusCode::kInvalidArgument, "{} is not UTF-8", field->full_name());
    }
    text = MendUtf8(text);
    if (field->is_repeated()) {
      reflection->SetRepeatedString(message, field, i, std::move(text));
    } else {
      reflection->SetString(message, field, std::move(text));
    }
  }
  return absl::OkStatus();
}

absl::Status MendTexts(Message* message) {
  const Reflection* reflection = message->GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection->ListFields(*message, &fields);
  for (const FieldDescriptor* field : fields) {
    // Not `bytes`, which are no text.
    if (field->type() == FieldDescriptor::TYPE_STRING) {
      HOLDFAST_RETURN_IF_ERROR(MendString(message, field));
    }
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    const int count = field->is_repeated() ? reflection->FieldSize(*message, field) : 1;
    for (int i = 0; i < count; ++i) {
      Message* part = field->is_repeated() ? reflection->MutableRepeatedMessage(message, field, i)
                                           : reflection->MutableMessage(message, field);
      HOLDFAST_RETURN_IF_ERROR(MendTexts(part));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckCommand(const command::Command& command) {
  if (command.format() != kCommandFormat) {
    return MakeStatus(absl::StatusCode::kUnimplemented, "command format {} is not known here",
                      command.format());
  }
  if (command.kind_case() == command::Command::KIND_NOT_SET) {
    return absl::UnimplementedError("a command of no kind known here");
  }
  return CheckKnown(command);
}

}  // namespace

absl::StatusOr<std::string> EncodeCommand(command::Command command) {
  command.set_format(kCommandFormat);
  HOLDFAST_RETURN_IF_ERROR(MendTexts(&command));
  if (absl::Status known = CheckCommand(command); !known.ok()) {
    return absl::Status(absl::StatusCode::kInvalidArgument, known.message());
  }
  std::string bytes;
  if (!command.SerializeToString(&bytes)) {
    return absl::InvalidArgumentError("command is too large");
  }
  return bytes;
}

absl::StatusOr<command::Command> DecodeCommand(std::string_view bytes) {
  command::Command command;
  if (bytes.size() > std::numeric_limits<int>::max() ||
      !command.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::DataLossError("not a command");
  }
  HOLDFAST_RETURN_IF_ERROR(CheckCommand(command));
  return command;
}

}  // namespace holdfast::queue
