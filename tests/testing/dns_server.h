// tests/testing/dns_server.h
// DnsServer is a small DNS server for tests, over UDP and TCP on one port of 127.0.0.1. It answers
// from what the test told it, well or badly: SERVFAIL, silence, truncation, CNAME loops.
// Threads:  serves on a thread of its own; all methods may be called at any time.
// Limits:   answers to the questions that resolvers really ask; no compression, no DNSSEC.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/mutex.h"

namespace holdfast::testing {

class DnsServer {
 public:
  enum class Manner { kAnswer, kServFail, kRefused, kSilent, kTruncateUdp };

  DnsServer();  // Serves when it returns. CHECKs that the sockets could be opened.
  ~DnsServer();
  DnsServer(const DnsServer&) = delete;
  DnsServer& operator=(const DnsServer&) = delete;

  uint16_t port() const { return port_; }

  // Records. Names in ASCII without a last dot; "" is the root. TTL is 0 unless given.
  void AddMx(std::string_view name, uint16_t preference, std::string_view host);
  void AddA(std::string_view name, std::string_view address);
  void AddAaaa(std::string_view name, std::string_view address);
  void AddCname(std::string_view name, std::string_view target);
  void AddTxt(std::string_view name, const std::vector<std::string>& pieces);
  void AddPtr(std::string_view name, std::string_view host);
  void AddRaw(std::string_view name, uint16_t type, std::string rdata);
  // The name exists, without records.
  void AddName(std::string_view name);
  // How questions for `name` are treated from now on; `type` 0 is every type.
  void SetManner(std::string_view name, uint16_t type, Manner manner);

  int udp_questions() const;
  int tcp_questions() const;

  static std::string NameToWire(std::string_view name);

 private:
  struct Question;

  void Run();
  void ServeUdp();
  void ServeTcp();
  // Empty: no answer.
  std::string Answer(std::string_view query, bool tcp);
  Manner MannerOf(const std::string& name, uint16_t type) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  int udp_ = -1;
  int tcp_ = -1;
  int wake_[2] = {-1, -1};
  uint16_t port_ = 0;
  mutable holdfast::Mutex mutex_;
  std::map<std::string, std::multimap<uint16_t, std::string>> records_ ABSL_GUARDED_BY(mutex_);
  std::map<std::pair<std::string, uint16_t>, Manner> manners_ ABSL_GUARDED_BY(mutex_);
  int udp_questions_ ABSL_GUARDED_BY(mutex_) = 0;
  int tcp_questions_ ABSL_GUARDED_BY(mutex_) = 0;
  std::thread thread_;
};

}  // namespace holdfast::testing
