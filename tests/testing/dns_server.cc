#include "tests/testing/dns_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <optional>
#include <utility>

#include "base/check.h"

namespace holdfast::testing {
namespace {

constexpr uint16_t kTypeA = 1;
constexpr uint16_t kTypeCname = 5;
constexpr uint16_t kTypePtr = 12;
constexpr uint16_t kTypeMx = 15;
constexpr uint16_t kTypeTxt = 16;
constexpr uint16_t kTypeAaaa = 28;
constexpr size_t kHeaderBytes = 12;
constexpr size_t kQueryBytesMax = 4096;

std::string U16(unsigned value) {
  return {static_cast<char>(value >> 8 & 0xff), static_cast<char>(value & 0xff)};
}

unsigned ReadU16(std::string_view text, size_t at) {
  return static_cast<uint8_t>(text[at]) << 8 | static_cast<uint8_t>(text[at + 1]);
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

int OpenSocket(int type, uint16_t port) {
  const int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
  HOLDFAST_CHECK(fd >= 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return fd;
  close(fd);
  return -1;
}

uint16_t PortOf(int fd) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  HOLDFAST_CHECK(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  return ntohs(address.sin_port);
}

bool ReadExactly(int fd, char* to, size_t size) {
  while (size > 0) {
    const ssize_t got = read(fd, to, size);
    if (got <= 0) return false;
    to += got;
    size -= static_cast<size_t>(got);
  }
  return true;
}

}  // namespace

struct DnsServer::Question {
  std::string name;  // Lower case, no last dot.
  uint16_t type = 0;
  size_t end = 0;  // Of the question section.

  static std::optional<Question> Read(std::string_view query) {
    if (query.size() < kHeaderBytes + 5 || ReadU16(query, 4) != 1) return std::nullopt;
    Question question;
    size_t at = kHeaderBytes;
    while (at < query.size() && query[at] != 0) {
      const size_t length = static_cast<uint8_t>(query[at]);
      if (length > 63 || at + 1 + length >= query.size()) return std::nullopt;
      if (!question.name.empty()) question.name += '.';
      question.name += Lower(query.substr(at + 1, length));
      at += 1 + length;
    }
    if (at + 5 > query.size()) return std::nullopt;
    question.type = static_cast<uint16_t>(ReadU16(query, at + 1));
    question.end = at + 5;
    return question;
  }
};

std::string DnsServer::NameToWire(std::string_view name) {
  std::string wire;
  while (!name.empty()) {
    const size_t dot = std::min(name.find('.'), name.size());
    wire += static_cast<char>(dot);
    wire += name.substr(0, dot);
    name.remove_prefix(std::min(dot + 1, name.size()));
  }
  wire += '\0';
  return wire;
}

DnsServer::DnsServer() {
  // UDP and TCP must share a port that the kernel chose for one of them only.
  for (int i = 0; i < 100 && tcp_ < 0; ++i) {
    if (udp_ >= 0) close(udp_);
    udp_ = OpenSocket(SOCK_DGRAM, 0);
    port_ = PortOf(udp_);
    tcp_ = OpenSocket(SOCK_STREAM, port_);
  }
  HOLDFAST_CHECK(tcp_ >= 0 && listen(tcp_, 16) == 0);
  HOLDFAST_CHECK(pipe(wake_) == 0);
  thread_ = std::thread([this] { Run(); });
}

DnsServer::~DnsServer() {
  HOLDFAST_CHECK(write(wake_[1], "x", 1) == 1);
  thread_.join();
  for (int fd : {udp_, tcp_, wake_[0], wake_[1]}) close(fd);
}

void DnsServer::AddRaw(std::string_view name, uint16_t type, std::string rdata) {
  holdfast::MutexLock lock(mutex_);
  records_[Lower(name)].emplace(type, std::move(rdata));
}

void DnsServer::AddName(std::string_view name) {
  holdfast::MutexLock lock(mutex_);
  records_[Lower(name)];
}

void DnsServer::AddMx(std::string_view name, uint16_t preference, std::string_view host) {
  AddRaw(name, kTypeMx, U16(preference) + NameToWire(host));
}

void DnsServer::AddA(std::string_view name, std::string_view address) {
  std::string rdata(4, '\0');
  HOLDFAST_CHECK(inet_pton(AF_INET, std::string(address).c_str(), rdata.data()) == 1);
  AddRaw(name, kTypeA, rdata);
}

void DnsServer::AddAaaa(std::string_view name, std::string_view address) {
  std::string rdata(16, '\0');
  HOLDFAST_CHECK(inet_pton(AF_INET6, std::string(address).c_str(), rdata.data()) == 1);
  AddRaw(name, kTypeAaaa, rdata);
}

void DnsServer::AddCname(std::string_view name, std::string_view target) {
  AddRaw(name, kTypeCname, NameToWire(target));
}

void DnsServer::AddPtr(std::string_view name, std::string_view host) {
  AddRaw(name, kTypePtr, NameToWire(host));
}

void DnsServer::AddTxt(std::string_view name, const std::vector<std::string>& pieces) {
  std::string rdata;
  for (const std::string& piece : pieces) rdata += static_cast<char>(piece.size()) + piece;
  AddRaw(name, kTypeTxt, rdata);
}

void DnsServer::SetManner(std::string_view name, uint16_t type, Manner manner) {
  holdfast::MutexLock lock(mutex_);
  manners_[{Lower(name), type}] = manner;
}

int DnsServer::udp_questions() const {
  holdfast::MutexLock lock(mutex_);
  return udp_questions_;
}

int DnsServer::tcp_questions() const {
  holdfast::MutexLock lock(mutex_);
  return tcp_questions_;
}

DnsServer::Manner DnsServer::MannerOf(const std::string& name, uint16_t type) const {
  for (uint16_t key : {type, uint16_t{0}}) {
    const auto found = manners_.find({name, key});
    if (found != manners_.end()) return found->second;
  }
  return Manner::kAnswer;
}

std::string DnsServer::Answer(std::string_view query, bool tcp) {
  const std::optional<Question> question = Question::Read(query);
  if (!question) return "";
  holdfast::MutexLock lock(mutex_);
  ++(tcp ? tcp_questions_ : udp_questions_);
  const Manner manner = MannerOf(question->name, question->type);
  if (manner == Manner::kSilent) return "";
  unsigned rcode = 0;
  if (manner == Manner::kServFail) rcode = 2;
  if (manner == Manner::kRefused) rcode = 5;
  const bool truncate = manner == Manner::kTruncateUdp && !tcp;
  unsigned count = 0;
  std::string answers;
  const auto owner = records_.find(question->name);
  if (owner == records_.end() && rcode == 0) rcode = 3;
  if (owner != records_.end() && rcode == 0 && !truncate) {
    for (const auto& [type, rdata] : owner->second) {
      if (type != question->type && type != kTypeCname) continue;
      // Owner by pointer to the question (RFC 1035 4.1.4), class IN, TTL 0.
      answers += U16(0xc000 | kHeaderBytes) + U16(type) + U16(1) + std::string(4, '\0');
      answers += U16(static_cast<unsigned>(rdata.size())) + rdata;
      ++count;
    }
  }
  const unsigned flags = 0x8180 | (truncate ? 0x0200 : 0) | rcode;  // QR RD RA
  std::string reply(query.substr(0, 2));
  reply += U16(flags) + U16(1) + U16(count) + U16(0) + U16(0);
  reply += query.substr(kHeaderBytes, question->end - kHeaderBytes);
  reply += answers;
  return reply;
}

void DnsServer::Run() {
  while (true) {
    pollfd fds[] = {{udp_, POLLIN, 0}, {tcp_, POLLIN, 0}, {wake_[0], POLLIN, 0}};
    if (poll(fds, 3, -1) < 0) continue;
    if (fds[2].revents != 0) return;
    if (fds[0].revents != 0) ServeUdp();
    if (fds[1].revents != 0) ServeTcp();
  }
}

void DnsServer::ServeUdp() {
  char query[kQueryBytesMax];
  sockaddr_in from{};
  socklen_t size = sizeof from;
  const ssize_t got =
      recvfrom(udp_, query, sizeof query, 0, reinterpret_cast<sockaddr*>(&from), &size);
  if (got <= 0) return;
  const std::string reply = Answer({query, static_cast<size_t>(got)}, /*tcp=*/false);
  if (reply.empty()) return;
  sendto(udp_, reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
}

// One question per connection, and a client that dawdles is cut off.
void DnsServer::ServeTcp() {
  const int fd = accept4(tcp_, nullptr, nullptr, SOCK_CLOEXEC);
  if (fd < 0) return;
  const timeval patience{2, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  char length[2];
  if (ReadExactly(fd, length, sizeof length)) {
    std::string query(ReadU16({length, 2}, 0), '\0');
    if (ReadExactly(fd, query.data(), query.size())) {
      std::string reply = Answer(query, /*tcp=*/true);
      if (!reply.empty()) {
        reply.insert(0, U16(static_cast<unsigned>(reply.size())));
        // A client that has gone does not matter here.
        [[maybe_unused]] const ssize_t sent = send(fd, reply.data(), reply.size(), MSG_NOSIGNAL);
      }
    }
  }
  close(fd);
}

}  // namespace holdfast::testing
