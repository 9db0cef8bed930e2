// ops/cli/session.h
// Session is one run of the command line: the options that every verb shares, the connection, and
// how answers and failures are shown. The files of the nouns use it; nobody else.
// Threads: one. Errors: Call() prints what went wrong and remembers the exit code.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "ops/cli/cli.h"
#include "proto/admin.grpc.pb.h"

namespace CLI {
class App;
}

namespace holdfast::cli {

struct GlobalOptions {
  std::string socket = "holdfast-data/admin.sock";
  // Not empty: over TCP with the three files instead of the socket.
  std::string address;
  std::string authority_file;
  std::string certificate_file;
  std::string key_file;
  std::string output = "table";
  double timeout_seconds = 30;
};

class Session {
 public:
  explicit Session(const Streams& streams) : streams_(streams) {}

  GlobalOptions& options() { return options_; }
  std::ostream& out() { return streams_.out; }
  std::ostream& err() { return streams_.err; }
  bool json() const { return options_.output == "json"; }

  // Sets what the chosen verb does; run once the arguments are parsed.
  void OnRun(CLI::App* verb, std::function<void()> action);
  int Run();

  template <typename Request, typename Response>
  using Method = grpc::Status (admin::Admin::Stub::*)(grpc::ClientContext*, const Request&,
                                                      Response*);
  // False when it failed: that is printed already, and the exit code set.
  template <typename Request, typename Response>
  bool Call(Method<Request, Response> method, const Request& request, Response* response) {
    if (!Connect()) return false;
    grpc::ClientContext context;
    context.set_deadline(deadline_);
    context.AddMetadata("holdfast-actor", Actor());
    return Accept((stub_.get()->*method)(&context, request, response));
  }

  // The message as JSON, one line.
  void PrintJson(const google::protobuf::Message& message);
  // "holdfast: text" on the error stream, and exit code 1.
  void Fail(std::string_view text);

  // A text file of at most 1 MiB, "-" for standard input. False when it failed, as with Call():
  // also when it is no text, which no request could carry.
  bool ReadFile(const std::string& path, std::string* text);

 private:
  bool Connect();
  // Why the socket cannot be connected to; empty when it can.
  std::string SocketProblem() const;
  bool Accept(const grpc::Status& status);
  bool Unreachable(std::string_view why);
  static std::string Actor();

  const Streams streams_;
  GlobalOptions options_;
  std::function<void()> action_;
  std::chrono::system_clock::time_point deadline_;
  std::unique_ptr<admin::Admin::Stub> stub_;
  int exit_code_ = kDone;
};

// One for each noun: adds its verbs to `app`.
void AddStatus(CLI::App& app, Session& session);
void AddCluster(CLI::App& app, Session& session);
void AddRaiseLevel(CLI::App& cluster, Session& session);
void AddRecover(CLI::App& cluster, Session& session);
void AddNode(CLI::App& app, Session& session);
void AddQueue(CLI::App& app, Session& session);
void AddDestination(CLI::App& app, Session& session);
void AddPolicy(CLI::App& app, Session& session);
void AddCert(CLI::App& app, Session& session);

}  // namespace holdfast::cli
