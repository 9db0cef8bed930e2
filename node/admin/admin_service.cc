#include "node/admin/admin_service.h"

#include <grpc/support/log.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "base/status.h"
#include "node/admin/admin_requests.h"
#include "node/config/config_reader.h"
#include "proto/admin.grpc.pb.h"

namespace holdfast::node {
namespace {

// The one table from our codes to gRPC's. They mean the same by number; kInternal and what is not
// named here are our own mistakes.
grpc::StatusCode GrpcCode(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kOk:
      return grpc::StatusCode::OK;
    case absl::StatusCode::kInvalidArgument:
      return grpc::StatusCode::INVALID_ARGUMENT;
    case absl::StatusCode::kNotFound:
      return grpc::StatusCode::NOT_FOUND;
    case absl::StatusCode::kAlreadyExists:
      return grpc::StatusCode::ALREADY_EXISTS;
    case absl::StatusCode::kPermissionDenied:
      return grpc::StatusCode::PERMISSION_DENIED;
    case absl::StatusCode::kResourceExhausted:
      return grpc::StatusCode::RESOURCE_EXHAUSTED;
    case absl::StatusCode::kFailedPrecondition:
      return grpc::StatusCode::FAILED_PRECONDITION;
    case absl::StatusCode::kAborted:
      return grpc::StatusCode::ABORTED;
    case absl::StatusCode::kUnavailable:
      return grpc::StatusCode::UNAVAILABLE;
    case absl::StatusCode::kDeadlineExceeded:
      return grpc::StatusCode::DEADLINE_EXCEEDED;
    case absl::StatusCode::kUnimplemented:
      return grpc::StatusCode::UNIMPLEMENTED;
    case absl::StatusCode::kDataLoss:
      return grpc::StatusCode::DATA_LOSS;
    case absl::StatusCode::kCancelled:
      return grpc::StatusCode::CANCELLED;
    default:
      return grpc::StatusCode::INTERNAL;
  }
}

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(GrpcCode(status.code()), std::string(Message(status)));
}

std::string_view View(const grpc::string_ref& text) { return {text.data(), text.size()}; }

// Over TCP the certificate says who calls. On the socket only our own user can, so what the caller
// says of itself is good enough for the record.
std::string ActorOf(const grpc::ServerContext& context) {
  const auto auth = context.auth_context();
  if (auth != nullptr && auth->IsPeerAuthenticated()) {
    const auto names = auth->FindPropertyValues("x509_common_name");
    return "tls:" + CleanActor(names.empty() ? "unnamed" : View(names.front()));
  }
  const auto said = context.client_metadata().find("holdfast-actor");
  return "local:" +
         CleanActor(said == context.client_metadata().end() ? "unnamed" : View(said->second));
}

AdminCall CallOf(const grpc::ServerContext& context) {
  const absl::Time now = SystemClock().Now();
  AdminCall call;
  call.actor = ActorOf(context);
  const auto deadline = context.deadline();
  call.deadline = deadline == std::chrono::system_clock::time_point::max()
                      ? now + kAdminCallTimeoutDefault
                      : std::min(absl::FromChrono(deadline), now + kAdminCallTimeoutMax);
  return call;
}

class AdminRpc final : public admin::Admin::Service {
 public:
  explicit AdminRpc(AdminBackend& backend) : backend_(backend) {}

  grpc::Status Status(grpc::ServerContext* context, const admin::StatusRequest*,
                      admin::StatusResponse* response) override {
    return ToGrpc(backend_.GetStatus(CallOf(*context), response));
  }

  grpc::Status ClusterStatus(grpc::ServerContext* context, const admin::ClusterStatusRequest*,
                             admin::ClusterStatusResponse* response) override {
    return ToGrpc(backend_.ClusterStatus(CallOf(*context), response));
  }
  grpc::Status ClusterChecksums(grpc::ServerContext* context, const admin::ClusterChecksumsRequest*,
                                admin::ClusterChecksumsResponse* response) override {
    return ToGrpc(backend_.ClusterChecksums(CallOf(*context), response));
  }
  grpc::Status ClusterTransfer(grpc::ServerContext* context,
                               const admin::ClusterTransferRequest* request,
                               admin::ClusterTransferResponse* response) override {
    return ToGrpc(backend_.ClusterTransfer(CallOf(*context), *request, response));
  }
  grpc::Status ClusterJoin(grpc::ServerContext* context, const admin::ClusterJoinRequest* request,
                           admin::ClusterMembersResponse* response) override {
    const absl::Status status = CheckReason(request->reason(), /*required=*/true);
    if (!status.ok()) return ToGrpc(status);
    return ToGrpc(backend_.ClusterJoin(CallOf(*context), *request, response));
  }
  grpc::Status ClusterRemove(grpc::ServerContext* context,
                             const admin::ClusterRemoveRequest* request,
                             admin::ClusterMembersResponse* response) override {
    const absl::Status status = CheckReason(request->reason(), /*required=*/true);
    if (!status.ok()) return ToGrpc(status);
    return ToGrpc(backend_.ClusterRemove(CallOf(*context), *request, response));
  }
  grpc::Status ClusterRaiseLevel(grpc::ServerContext* context,
                                 const admin::ClusterRaiseLevelRequest* request,
                                 admin::ClusterRaiseLevelResponse* response) override {
    const absl::Status status = CheckReason(request->reason(), /*required=*/true);
    if (!status.ok()) return ToGrpc(status);
    return ToGrpc(backend_.ClusterRaiseLevel(CallOf(*context), *request, response));
  }
  grpc::Status NodeDrain(grpc::ServerContext* context, const admin::NodeDrainRequest* request,
                         admin::NodeDrainResponse* response) override {
    return ToGrpc(backend_.NodeDrain(CallOf(*context), *request, response));
  }
  grpc::Status NodeUndrain(grpc::ServerContext* context, const admin::NodeUndrainRequest*,
                           admin::NodeUndrainResponse*) override {
    return ToGrpc(backend_.NodeUndrain(CallOf(*context)));
  }
  grpc::Status DestinationList(grpc::ServerContext* context,
                               const admin::DestinationListRequest* request,
                               admin::DestinationListResponse* response) override {
    admin::DestinationListRequest checked = *request;
    const absl::Status status = CheckDestinationList(&checked);
    if (!status.ok()) return ToGrpc(status);
    return ToGrpc(backend_.DestinationList(CallOf(*context), checked, response));
  }

  grpc::Status QueueSummary(grpc::ServerContext* context, const admin::QueueSummaryRequest* request,
                            admin::QueueSummaryResponse* response) override {
    admin::QueueSummaryRequest checked = *request;
    const absl::Status status = CheckQueueSummary(&checked);
    if (!status.ok()) return ToGrpc(status);
    return ToGrpc(backend_.QueueSummary(CallOf(*context), checked, response));
  }

  grpc::Status QueueList(grpc::ServerContext* context, const admin::QueueListRequest* request,
                         admin::QueueListResponse* response) override {
    admin::QueueListRequest checked = *request;
    const absl::Status status = CheckQueueList(&checked);
    if (!status.ok()) return ToGrpc(status);
    return ToGrpc(backend_.QueueList(CallOf(*context), checked, response));
  }

  grpc::Status QueueShow(grpc::ServerContext* context, const admin::QueueShowRequest* request,
                         admin::QueueShowResponse* response) override {
    admin::QueueShowRequest checked = *request;
    const absl::Status status = CheckQueueId(checked.mutable_queue_id());
    if (!status.ok()) return ToGrpc(status);
    return ToGrpc(backend_.QueueShow(CallOf(*context), checked, response));
  }

  grpc::Status QueueRetry(grpc::ServerContext* context, const admin::QueueActionRequest* request,
                          admin::QueueActionResponse* response) override {
    return Act(*context, QueueAction::kRetry, *request, response);
  }
  grpc::Status QueueHold(grpc::ServerContext* context, const admin::QueueActionRequest* request,
                         admin::QueueActionResponse* response) override {
    return Act(*context, QueueAction::kHold, *request, response);
  }
  grpc::Status QueueRelease(grpc::ServerContext* context, const admin::QueueActionRequest* request,
                            admin::QueueActionResponse* response) override {
    return Act(*context, QueueAction::kRelease, *request, response);
  }
  grpc::Status QueueRemove(grpc::ServerContext* context, const admin::QueueActionRequest* request,
                           admin::QueueActionResponse* response) override {
    return Act(*context, QueueAction::kRemove, *request, response);
  }
  grpc::Status QueueBounce(grpc::ServerContext* context, const admin::QueueActionRequest* request,
                           admin::QueueActionResponse* response) override {
    return Act(*context, QueueAction::kBounce, *request, response);
  }
  grpc::Status QueueReroute(grpc::ServerContext* context, const admin::QueueActionRequest* request,
                            admin::QueueActionResponse* response) override {
    return Act(*context, QueueAction::kReroute, *request, response);
  }

  grpc::Status PolicyCheck(grpc::ServerContext* context, const admin::PolicyCheckRequest* request,
                           admin::PolicyCheckResponse* response) override {
    const absl::Status status = CheckPolicyText(request->policy_text());
    if (!status.ok()) return ToGrpc(status);
    return ToGrpc(backend_.PolicyCheck(CallOf(*context), *request, response));
  }
  grpc::Status PolicyDiff(grpc::ServerContext* context, const admin::PolicyDiffRequest* request,
                          admin::PolicyDiffResponse* response) override {
    const absl::Status status = CheckPolicyText(request->policy_text());
    if (!status.ok()) return ToGrpc(status);
    return ToGrpc(backend_.PolicyDiff(CallOf(*context), *request, response));
  }
  grpc::Status PolicyApply(grpc::ServerContext* context, const admin::PolicyApplyRequest* request,
                           admin::PolicyApplyResponse* response) override {
    absl::Status status = CheckPolicyText(request->policy_text());
    if (status.ok()) status = CheckReason(request->comment(), /*required=*/false);
    if (!status.ok()) return ToGrpc(status);
    return ToGrpc(backend_.PolicyApply(CallOf(*context), *request, response));
  }
  grpc::Status PolicyShow(grpc::ServerContext* context, const admin::PolicyShowRequest* request,
                          admin::PolicyShowResponse* response) override {
    return ToGrpc(backend_.PolicyShow(CallOf(*context), *request, response));
  }
  grpc::Status PolicyHistory(grpc::ServerContext* context,
                             const admin::PolicyHistoryRequest* request,
                             admin::PolicyHistoryResponse* response) override {
    admin::PolicyHistoryRequest checked = *request;
    const absl::Status status = CheckPolicyHistory(&checked);
    if (!status.ok()) return ToGrpc(status);
    return ToGrpc(backend_.PolicyHistory(CallOf(*context), checked, response));
  }

 private:
  grpc::Status Act(const grpc::ServerContext& context, QueueAction action,
                   const admin::QueueActionRequest& request, admin::QueueActionResponse* response) {
    admin::QueueActionRequest checked = request;
    const absl::Status status = CheckQueueAction(action, &checked);
    if (!status.ok()) return ToGrpc(status);
    return ToGrpc(backend_.QueueAct(CallOf(context), action, checked, response));
  }

  AdminBackend& backend_;
};

// gRPC's own complaints, in our log.
void LogFromGrpc(gpr_log_func_args* args) {
  if (args->severity != GPR_LOG_SEVERITY_ERROR) return;
  Log(LogLevel::kDebug, "grpc", {{"text", args->message}});
}

void SetUpGrpcOnce() {
  static std::once_flag once;
  std::call_once(once, [] {
    gpr_set_log_function(&LogFromGrpc);
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  });
}

absl::StatusOr<std::string> ReadPem(const std::string& path) {
  FileText file = ReadConfigFile(path);
  if (!file.problems.empty()) {
    return MakeStatus(absl::StatusCode::kInvalidArgument, "{} {}", path, file.problems[0].text);
  }
  return std::move(file.text);
}

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MutualTlsCredentials(
    const MutualTlsSettings& settings) {
  HOLDFAST_ASSIGN_OR_RETURN(const std::string key, ReadPem(settings.key_file));
  HOLDFAST_ASSIGN_OR_RETURN(const std::string certificate, ReadPem(settings.certificate_file));
  grpc::SslServerCredentialsOptions options(
      GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  HOLDFAST_ASSIGN_OR_RETURN(options.pem_root_certs, ReadPem(settings.authority_file));
  options.pem_key_cert_pairs.push_back({key, certificate});
  return grpc::SslServerCredentials(options);
}

}  // namespace

class AdminService::Impl {
 public:
  explicit Impl(AdminBackend& backend) : rpc_(backend) {}

  absl::Status Start(const AdminSettings& settings) {
    SetUpGrpcOnce();
    grpc::ServerBuilder builder;
    const int bytes_max = static_cast<int>(settings.message_bytes_max);
    builder.SetMaxReceiveMessageSize(bytes_max);
    builder.SetMaxSendMessageSize(bytes_max);
    builder.SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
    builder.SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 1);
    builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 2);
    // Without this two nodes could share a TCP port, each getting half of the calls.
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    grpc::ResourceQuota quota("admin");
    quota.SetMaxThreads(static_cast<int>(settings.threads_max));
    builder.SetResourceQuota(quota);
    int socket_bound = 0;
    builder.AddListeningPort("unix:" + settings.socket, grpc::InsecureServerCredentials(),
                             &socket_bound);
    if (settings.tcp) {
      HOLDFAST_ASSIGN_OR_RETURN(const auto credentials, MutualTlsCredentials(settings.tcp->tls));
      builder.AddListeningPort(settings.tcp->address.ToString(), credentials, &tcp_port_);
    }
    builder.RegisterService(&rpc_);
    // The socket must never be open to others, not even before chmod.
    const mode_t before = umask(077);
    server_ = builder.BuildAndStart();
    umask(before);
    if (socket_bound == 0) {
      return MakeStatus(absl::StatusCode::kUnavailable, "cannot listen on the admin socket {}",
                        settings.socket);
    }
    if (server_ == nullptr) {
      return MakeStatus(absl::StatusCode::kUnavailable, "cannot listen on the admin address {}",
                        settings.tcp ? settings.tcp->address.ToString() : settings.socket);
    }
    if (chmod(settings.socket.c_str(), 0600) != 0) {
      return MakeStatus(absl::StatusCode::kUnavailable, "cannot set the mode of {}: {}",
                        settings.socket, std::strerror(errno));
    }
    SetServing(false);
    return absl::OkStatus();
  }

  void SetServing(bool serving) {
    grpc::HealthCheckServiceInterface* const health = server_->GetHealthCheckService();
    health->SetServingStatus(serving);
    health->SetServingStatus("holdfast.admin.Admin", serving);
  }

  void Stop() {
    if (server_ == nullptr) return;
    server_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(1));
    server_->Wait();
    server_.reset();
  }

  uint16_t tcp_port() const { return static_cast<uint16_t>(tcp_port_); }

 private:
  AdminRpc rpc_;
  std::unique_ptr<grpc::Server> server_;
  int tcp_port_ = 0;
};

AdminService::AdminService(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
AdminService::~AdminService() { Stop(); }

absl::StatusOr<std::unique_ptr<AdminService>> AdminService::Start(const AdminSettings& settings,
                                                                  AdminBackend& backend) {
  auto impl = std::make_unique<Impl>(backend);
  const absl::Status status = impl->Start(settings);
  if (!status.ok()) {
    impl->Stop();
    return status;
  }
  return std::unique_ptr<AdminService>(new AdminService(std::move(impl)));
}

void AdminService::SetServing(bool serving) { impl_->SetServing(serving); }
uint16_t AdminService::tcp_port() const { return impl_->tcp_port(); }
void AdminService::Stop() { impl_->Stop(); }

}  // namespace holdfast::node
