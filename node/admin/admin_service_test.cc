#include "node/admin/admin_service.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>

#include "base/status.h"
#include "proto/admin.grpc.pb.h"
#include "tests/testing/admin/fake_admin_backend.h"

namespace holdfast::node {
namespace {

using testing::FakeAdminBackend;

constexpr char kId[] = "01J9ABCDEFGHJKMN";

class AdminServiceTest : public ::testing::Test {
 protected:
  AdminServiceTest() {
    // Below /tmp: a socket's path may have 107 characters only.
    directory_ = "/tmp/holdfast-adminXXXXXX";
    EXPECT_NE(mkdtemp(directory_.data()), nullptr);
    settings_.socket = directory_ + "/admin.sock";
    backend_.AddMessage(kId, "a@a.example", "b@b.example", admin::DEFERRED);
  }
  ~AdminServiceTest() override {
    service_.reset();
    const std::string command = "rm -rf '" + directory_ + "'";
    EXPECT_EQ(std::system(command.c_str()), 0);
  }

  void Start() {
    auto service = AdminService::Start(settings_, backend_);
    ASSERT_TRUE(service.ok()) << Message(service.status());
    service_ = *std::move(service);
  }

  std::unique_ptr<admin::Admin::Stub> Client() {
    return admin::Admin::NewStub(
        grpc::CreateChannel("unix:" + settings_.socket, grpc::InsecureChannelCredentials()));
  }

  std::unique_ptr<grpc::ClientContext> Context(int seconds = 10) {
    auto context = std::make_unique<grpc::ClientContext>();
    context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(seconds));
    return context;
  }

  std::string directory_;
  AdminSettings settings_;
  FakeAdminBackend backend_;
  std::unique_ptr<AdminService> service_;
};

TEST_F(AdminServiceTest, AnswersOverASocketThatIsOursAlone) {
  Start();
  struct stat entry {};
  ASSERT_EQ(stat(settings_.socket.c_str(), &entry), 0);
  EXPECT_EQ(entry.st_mode & 0777, 0600u);
  EXPECT_TRUE(S_ISSOCK(entry.st_mode));
  admin::StatusResponse response;
  const auto context = Context();
  context->AddMetadata("holdfast-actor", "alice");
  const grpc::Status status = Client()->Status(context.get(), {}, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.hostname(), "mail.example.com");
  const auto calls = backend_.calls();
  ASSERT_EQ(calls.size(), 1u);
  EXPECT_EQ(calls[0].actor, "local:alice");
  EXPECT_GT(calls[0].time_left, absl::ZeroDuration());
  // Ten seconds, which gRPC rounds up on the wire by hundredths of them; the default is 30 s.
  EXPECT_LT(calls[0].time_left, absl::Seconds(11));
}

TEST_F(AdminServiceTest, BoundsTheTimeOfACall) {
  Start();
  admin::StatusResponse response;
  grpc::ClientContext without_deadline;
  ASSERT_TRUE(Client()->Status(&without_deadline, {}, &response).ok());
  const auto long_deadline = Context(24 * 3600);
  ASSERT_TRUE(Client()->Status(long_deadline.get(), {}, &response).ok());
  const auto calls = backend_.calls();
  EXPECT_LE(calls[0].time_left, kAdminCallTimeoutDefault);
  EXPECT_LE(calls[1].time_left, kAdminCallTimeoutMax);
  EXPECT_EQ(calls[0].actor, "local:unnamed");
}

TEST_F(AdminServiceTest, RefusesABadRequestBeforeTheBackendSeesIt) {
  Start();
  admin::QueueActionRequest request;
  admin::QueueActionResponse response;
  const grpc::Status status = Client()->QueueRemove(Context().get(), request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message(), "give queue ids, or a filter with at least one condition");
  EXPECT_TRUE(backend_.calls().empty());
}

TEST_F(AdminServiceTest, TheLevelIsRaisedForAReasonOnly) {
  Start();
  admin::ClusterRaiseLevelRequest request;
  admin::ClusterRaiseLevelResponse response;
  for (const std::string& none : {std::string(), std::string(1000, 'x'), std::string("a\nb")}) {
    request.set_reason(none);
    const grpc::Status status = Client()->ClusterRaiseLevel(Context().get(), request, &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << none;
  }
  EXPECT_TRUE(backend_.calls().empty());
  request.set_reason("all nodes are new");
  request.set_level(3);
  ASSERT_TRUE(Client()->ClusterRaiseLevel(Context().get(), request, &response).ok());
  EXPECT_EQ(response.level(), 3u);
  EXPECT_TRUE(response.done());
  ASSERT_EQ(backend_.calls().size(), 1u);
  EXPECT_EQ(backend_.calls()[0].verb, "cluster raise-level 3 all nodes are new");
}

TEST_F(AdminServiceTest, EachVerbReachesTheBackend) {
  Start();
  const auto client = Client();
  admin::QueueActionRequest request;
  request.add_queue_ids("01j9abcdefghjkmn");
  request.set_reason("test");
  admin::QueueActionResponse response;
  EXPECT_TRUE(client->QueueRetry(Context().get(), request, &response).ok());
  EXPECT_TRUE(client->QueueHold(Context().get(), request, &response).ok());
  EXPECT_TRUE(client->QueueRelease(Context().get(), request, &response).ok());
  EXPECT_EQ(response.messages_touched(), 1u);
  EXPECT_TRUE(client->QueueBounce(Context().get(), request, &response).ok());
  EXPECT_TRUE(client->QueueRemove(Context().get(), request, &response).ok());
  ASSERT_EQ(response.refused_size(), 1);
  std::vector<std::string> verbs;
  for (const auto& call : backend_.calls()) verbs.push_back(call.verb + ":" + call.reason);
  EXPECT_EQ(verbs, (std::vector<std::string>{"retry:test", "hold:test", "release:test",
                                             "bounce:test", "remove:test"}));
}

TEST_F(AdminServiceTest, PassesOnWhatTheBackendSays) {
  Start();
  const std::pair<absl::StatusCode, grpc::StatusCode> codes[] = {
      {absl::StatusCode::kNotFound, grpc::StatusCode::NOT_FOUND},
      {absl::StatusCode::kUnavailable, grpc::StatusCode::UNAVAILABLE},
      {absl::StatusCode::kAborted, grpc::StatusCode::ABORTED},
      {absl::StatusCode::kDeadlineExceeded, grpc::StatusCode::DEADLINE_EXCEEDED},
      {absl::StatusCode::kResourceExhausted, grpc::StatusCode::RESOURCE_EXHAUSTED},
      {absl::StatusCode::kInternal, grpc::StatusCode::INTERNAL},
  };
  for (const auto& [ours, theirs] : codes) {
    backend_.FailWith(absl::Status(ours, "as told"));
    admin::StatusResponse response;
    const grpc::Status status = Client()->Status(Context().get(), {}, &response);
    EXPECT_EQ(status.error_code(), theirs);
    EXPECT_EQ(status.error_message(), "as told");
  }
}

TEST_F(AdminServiceTest, RefusesMessagesOverTheBound) {
  settings_.message_bytes_max = 64 << 10;
  Start();
  admin::PolicyCheckRequest request;
  request.set_policy_text(std::string(128 << 10, '#'));
  admin::PolicyCheckResponse response;
  EXPECT_EQ(Client()->PolicyCheck(Context().get(), request, &response).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(backend_.calls().empty());
}

TEST_F(AdminServiceTest, ReplacesTheSocketOfANodeThatDied) {
  // Bound and never unlinked, as after kill -9.
  const int dead = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, settings_.socket.data(), settings_.socket.size());
  ASSERT_EQ(bind(dead, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  close(dead);
  Start();
  admin::StatusResponse response;
  EXPECT_TRUE(Client()->Status(Context().get(), {}, &response).ok());
}

TEST_F(AdminServiceTest, SaysWhichAddressCannotBeHad) {
  settings_.socket = directory_ + "/none/admin.sock";
  const auto service = AdminService::Start(settings_, backend_);
  EXPECT_EQ(Message(service.status()),
            "cannot listen on the admin socket " + directory_ + "/none/admin.sock");
}

// One message out and one back on a call of any kind, by hand: other programs' stubs do the same.
std::string Exchange(const std::string& socket, const std::string& method,
                     const std::string& request) {
  grpc::GenericStub stub(grpc::CreateChannel("unix:" + socket, grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  grpc::CompletionQueue queue;
  void* tag = nullptr;
  bool ok = false;
  const auto call = stub.PrepareCall(&context, method, &queue);
  call->StartCall(nullptr);
  queue.Next(&tag, &ok);
  const grpc::Slice slice(request);
  call->WriteLast(grpc::ByteBuffer(&slice, 1), grpc::WriteOptions(), nullptr);
  queue.Next(&tag, &ok);
  grpc::ByteBuffer response;
  call->Read(&response, nullptr);
  queue.Next(&tag, &ok);
  grpc::Status status;
  call->Finish(&status, nullptr);
  queue.Next(&tag, &ok);
  EXPECT_TRUE(status.ok()) << status.error_message();
  std::vector<grpc::Slice> slices;
  (void)response.Dump(&slices);  // Nothing to dump fails the caller's comparison.
  std::string bytes;
  for (const auto& each : slices) {
    bytes.append(reinterpret_cast<const char*>(each.begin()), each.size());
  }
  return bytes;
}

TEST_F(AdminServiceTest, AnswersHealthChecks) {
  Start();
  // {service: ""} gives {status: 1 SERVING | 2 NOT_SERVING}.
  const std::string method = "/grpc.health.v1.Health/Check";
  EXPECT_EQ(Exchange(settings_.socket, method, ""), "\x08\x02");
  service_->SetServing(true);
  EXPECT_EQ(Exchange(settings_.socket, method, ""), "\x08\x01");
}

TEST_F(AdminServiceTest, TellsOthersWhatItServes) {
  Start();
  // {list_services: "*"}.
  const std::string services =
      Exchange(settings_.socket, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
               "\x3a\x01*");
  EXPECT_NE(services.find("holdfast.admin.Admin"), std::string::npos);
}

TEST_F(AdminServiceTest, StopsTwiceWithoutHarm) {
  Start();
  service_->Stop();
  service_->Stop();
  admin::StatusResponse response;
  EXPECT_FALSE(Client()->Status(Context(1).get(), {}, &response).ok());
}

// ---- TCP ---------------------------------------------------------------------------------------

class AdminTcpTest : public AdminServiceTest {
 protected:
  // A self-made authority, and certificates of it for `localhost` and for a person.
  void MakeCertificates() {
    const std::string script =
        "set -e; cd '" + directory_ +
        "'\n"
        "new='openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout'\n"
        "$new ca.key -x509 -days 2 -subj /CN=authority -out ca.pem 2>/dev/null\n"
        "printf 'subjectAltName=DNS:localhost,IP:127.0.0.1' > san\n"
        "for name in server ops; do\n"
        "  $new $name.key -subj /CN=$name.example.com -out $name.csr 2>/dev/null\n"
        "  openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 "
        "-extfile san -out $name.pem 2>/dev/null\n"
        "done\n"
        "$new other.key -x509 -days 2 -subj /CN=stranger -out other.pem 2>/dev/null\n";
    ASSERT_EQ(std::system(script.c_str()), 0) << "openssl(1) is needed";
    settings_.tcp =
        AdminTcpSettings{SocketAddress{"127.0.0.1", 0},
                         MutualTlsSettings{Path("server.pem"), Path("server.key"), Path("ca.pem")}};
  }

  std::string Path(const std::string& name) const { return directory_ + "/" + name; }

  std::string Read(const std::string& name) const {
    std::ifstream file(Path(name));
    return std::string(std::istreambuf_iterator<char>(file), {});
  }

  grpc::Status CallAs(const std::string& name) {
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = Read("ca.pem");
    if (!name.empty()) {
      options.pem_cert_chain = Read(name + ".pem");
      options.pem_private_key = Read(name + ".key");
    }
    // By address: c-ares, by which names are looked up, leaks a little.
    const auto stub = admin::Admin::NewStub(grpc::CreateChannel(
        "ipv4:127.0.0.1:" + std::to_string(service_->tcp_port()), grpc::SslCredentials(options)));
    admin::StatusResponse response;
    return stub->Status(Context(5).get(), {}, &response);
  }
};

TEST_F(AdminTcpTest, AnswersOnlyCallersWithACertificateOfOurAuthority) {
  MakeCertificates();
  Start();
  ASSERT_NE(service_->tcp_port(), 0);
  const grpc::Status known = CallAs("ops");
  EXPECT_TRUE(known.ok()) << known.error_message();
  EXPECT_FALSE(CallAs("other").ok());
  EXPECT_FALSE(CallAs("").ok());
  const auto calls = backend_.calls();
  ASSERT_EQ(calls.size(), 1u);
  EXPECT_EQ(calls[0].actor, "tls:ops.example.com");
}

TEST_F(AdminTcpTest, SaysWhichFileIsMissing) {
  MakeCertificates();
  settings_.tcp->tls.key_file = Path("none.key");
  const auto service = AdminService::Start(settings_, backend_);
  EXPECT_EQ(Message(service.status()),
            Path("none.key") + " cannot be read: No such file or directory");
}

}  // namespace
}  // namespace holdfast::node
