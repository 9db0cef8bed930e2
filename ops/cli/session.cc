#include "ops/cli/session.h"

#include <google/protobuf/util/json_util.h>
#include <grpc/support/log.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

#include "base/text.h"
#include "base/utf8.h"
#include "ops/cli/table_print.h"

namespace holdfast::cli {
namespace {

constexpr size_t kFileBytesMax = 1 << 20;

// At most kFileBytesMax + 1 bytes, so that the caller sees when there are too many.
std::string ReadBounded(std::istream& in) {
  std::string text(kFileBytesMax + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(in.gcount()));
  return text;
}

}  // namespace

void Session::OnRun(CLI::App* verb, std::function<void()> action) {
  verb->callback([this, action = std::move(action)] { action_ = action; });
}

int Session::Run() {
  deadline_ = std::chrono::system_clock::now() +
              std::chrono::milliseconds(static_cast<int64_t>(options_.timeout_seconds * 1000));
  action_();
  return exit_code_;
}

std::string Session::Actor() {
  // Under sudo the person is meant, not root.
  const char* const sudo_user = std::getenv("SUDO_USER");
  std::string name = sudo_user != nullptr && *sudo_user != '\0' ? sudo_user : "";
  if (name.empty()) {
    const struct passwd* const entry = getpwuid(getuid());
    name = entry != nullptr ? entry->pw_name : format("uid-{}", getuid());
  }
  // Metadata may hold printable ASCII only.
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c <= ' ' || c >= 0x7f; }, '_');
  return name;
}

std::string Session::SocketProblem() const {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (options_.socket.size() >= sizeof address.sun_path) return "the path is too long";
  std::memcpy(address.sun_path, options_.socket.data(), options_.socket.size());
  const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (probe < 0) return std::strerror(errno);
  const bool connected =
      connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  const std::string problem = connected ? "" : std::strerror(errno);
  close(probe);
  return problem;
}

bool Session::Unreachable(std::string_view why) {
  err() << format("cannot reach {}: {} (is holdfastd running?)\n",
                  options_.address.empty() ? options_.socket : options_.address, why);
  exit_code_ = kUnreachable;
  return false;
}

bool Session::Connect() {
  if (stub_ != nullptr) return true;
  // What gRPC writes to the error stream is not for people; failures are told below.
  gpr_set_log_function([](gpr_log_func_args*) {});
  std::string target = options_.address;
  std::shared_ptr<grpc::ChannelCredentials> credentials;
  if (target.empty()) {
    if (const std::string problem = SocketProblem(); !problem.empty()) return Unreachable(problem);
    target = "unix:" + options_.socket;
    credentials = grpc::InsecureChannelCredentials();
  } else {
    grpc::SslCredentialsOptions ssl;
    if (!ReadFile(options_.authority_file, &ssl.pem_root_certs) ||
        !ReadFile(options_.certificate_file, &ssl.pem_cert_chain) ||
        !ReadFile(options_.key_file, &ssl.pem_private_key)) {
      return false;
    }
    credentials = grpc::SslCredentials(ssl);
  }
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetMaxReceiveMessageSize(-1);
  const auto channel = grpc::CreateCustomChannel(target, credentials, arguments);
  grpc_connectivity_state state = channel->GetState(/*try_to_connect=*/true);
  while (state != GRPC_CHANNEL_READY) {
    if (state == GRPC_CHANNEL_TRANSIENT_FAILURE || state == GRPC_CHANNEL_SHUTDOWN) {
      return Unreachable("no connection could be made");
    }
    if (!channel->WaitForStateChange(state, deadline_)) return Unreachable("no answer in time");
    state = channel->GetState(true);
  }
  stub_ = admin::Admin::NewStub(channel);
  return true;
}

bool Session::Accept(const grpc::Status& status) {
  if (status.ok()) return true;
  switch (status.error_code()) {
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      Fail(
          format("no answer within {:g} s, so it is not known what was done; look before you try "
                 "again",
                 options_.timeout_seconds));
      break;
    case grpc::StatusCode::UNIMPLEMENTED:
      Fail("this node does not know that verb; it may be of an older version");
      break;
    default:
      Fail(status.error_message());
  }
  return false;
}

void Session::Fail(std::string_view text) {
  err() << "holdfast: " << Shown(text) << '\n';
  exit_code_ = kFailed;
}

void Session::PrintJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions json_options;
  json_options.preserve_proto_field_names = true;
  json_options.always_print_primitive_fields = true;
  std::string text;
  const auto status = google::protobuf::util::MessageToJsonString(message, &text, json_options);
  if (!status.ok()) {
    Fail("the answer cannot be written as JSON");
    return;
  }
  out() << text << '\n';
}

bool Session::ReadFile(const std::string& path, std::string* text) {
  if (path == "-") {
    *text = ReadBounded(streams_.in);
  } else {
    errno = 0;
    std::ifstream file(path, std::ios::binary);
    *text = ReadBounded(file);
    if (!file.is_open() || file.bad()) {
      Fail(format("cannot read {}: {}", path, std::strerror(errno)));
      return false;
    }
  }
  if (text->size() > kFileBytesMax) {
    Fail(format("{} has more than {} bytes", path, kFileBytesMax));
    return false;
  }
  if (IsUtf8(*text)) return true;
  Fail(format("{} is not a text file (UTF-8)", path));
  return false;
}

}  // namespace holdfast::cli
