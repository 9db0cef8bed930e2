#include "tests/sim/mail_remotes.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <charconv>
#include <utility>

#include "base/text.h"
#include "smtp/stream/timer.h"

namespace holdfast::raft_test {
namespace {

using smtp::Endpoint;
using smtp::IpAddress;
namespace asio = boost::asio;

// Hosts are 198.51.100.NUMBER, with the number of the destination.
IpAddress AddressOf(size_t destination) {
  return IpAddress::V4({198, 51, 100, static_cast<uint8_t>(destination + 1)});
}

bool StartsWith(std::string_view line, std::string_view verb) {
  return line.substr(0, verb.size()) == verb;
}

// What stands between angle brackets.
std::string PathOf(std::string_view line) {
  const size_t from = line.find('<') + 1;
  return std::string(line.substr(from, line.find('>') - from));
}

}  // namespace

// One connection, seen by the remote. It outlives the node's end of it.
class MailRemotes::Talk : public std::enable_shared_from_this<MailRemotes::Talk> {
 public:
  Talk(MailRemotes& remotes, size_t destination, RemoteClient client)
      : remotes_(remotes), destination_(destination), client_(std::move(client)) {}

  std::unique_ptr<smtp::Transport> Begin(const asio::any_io_executor& executor) {
    peer_.OnWrite([weak = weak_from_this()](std::string_view bytes) {
      if (const auto self = weak.lock()) self->OnWrite(bytes);
    });
    Say("220 remote ESMTP");
    return peer_.MakeTransport(executor);
  }
  NodeId node() const { return client_.node; }
  size_t destination() const { return destination_; }
  bool over() const { return (gone_ && !stalls_) || peer_.send_ended(); }

 private:
  const RemoteTemper& temper() const { return remotes_.tempers_[destination_]; }

  // At the node's end.
  void OnWrite(std::string_view bytes) {
    peer_.TakeWritten();
    if (bytes == ".\r\n") {
      remotes_.checker_.OnDot(client_.node, client_.boot_id, sender_, told_recipients_);
    }
    arrives_ = std::max(arrives_, remotes_.loop_.now() + remotes_.UpTo(temper().delay_max));
    remotes_.loop_.At(arrives_, [self = shared_from_this(), text = std::string(bytes)] {
      self->OnArrival(text);
    });
  }

  // At the remote.
  void OnArrival(const std::string& bytes) {
    if (gone_) return;
    // Up to here there is no end: a long content is searched once.
    const size_t searched = input_.size() < 4 ? 0 : input_.size() - 4;
    input_ += bytes;
    for (size_t from = searched; !gone_; from = 0) {
      if (in_content_) {
        // The dot is alone on a line.
        const bool at_once = StartsWith(input_, ".\r\n");
        const size_t end = at_once ? 0 : input_.find("\r\n.\r\n", from);
        if (end == std::string::npos) return;
        std::string content = at_once ? "" : input_.substr(0, end + 2);
        input_.erase(0, at_once ? 3 : end + 5);
        in_content_ = false;
        OnContent(Unstuffed(content));
        continue;
      }
      const size_t end = input_.find("\r\n");
      if (end == std::string::npos) return;
      // What comes behind a line has not been searched.
      const std::string line = input_.substr(0, end);
      input_.erase(0, end + 2);
      OnLine(line);
    }
  }

  static std::string Unstuffed(const std::string& content) {
    std::string plain;
    size_t at = 0;
    while (at < content.size()) {
      const size_t end = content.find("\r\n", at) + 2;
      if (content[at] == '.') ++at;
      plain.append(content, at, end - at);
      at = end;
    }
    return plain;
  }

  void OnLine(const std::string& line) {
    if (remotes_.Chance(temper().hang_up)) return HangUp();
    if (StartsWith(line, "EHLO")) return Say("250-remote\r\n250-PIPELINING\r\n250 8BITMIME");
    if (StartsWith(line, "MAIL")) {
      sender_ = PathOf(line);
      accepted_.clear();
      told_recipients_.clear();
      return Say("250 2.1.0 ok");
    }
    if (StartsWith(line, "RCPT")) return OnRecipient(PathOf(line));
    if (StartsWith(line, "DATA")) {
      if (accepted_.empty()) return Say("554 5.5.1 no valid recipients");
      in_content_ = true;
      told_recipients_ = accepted_;
      return Say("354 go on");
    }
    if (StartsWith(line, "QUIT")) {
      Say("221 2.0.0 bye");
      return HangUp();
    }
    if (StartsWith(line, "RSET")) accepted_.clear();
    Say("250 2.0.0 ok");
  }

  void OnRecipient(const std::string& address) {
    if (IsBad(address)) return Say("550 5.1.1 no such user");
    if (remotes_.Chance(temper().defer_recipient)) return Say("450 4.2.1 later");
    accepted_.push_back(address);
    Say("250 2.1.5 ok");
  }

  void OnContent(const std::string& content) {
    if (remotes_.Chance(temper().hang_up)) return HangUp();
    if (remotes_.Chance(temper().defer_dot)) return Say("451 4.3.0 later");
    if (remotes_.Chance(temper().reject_dot)) return Say("554 5.7.1 not this one");
    ++remotes_.taken_;
    remotes_.trace_.Note("taken", {client_.node.value(), destination_, TokenOf(sender_),
                                   accepted_.size(), content.size()});
    remotes_.checker_.OnTaken(sender_, accepted_, content);
    if (remotes_.Chance(temper().vanish)) return HangUp();
    if (remotes_.Chance(temper().stall)) {
      gone_ = true;
      stalls_ = true;
      return;
    }
    Say("250 2.0.0 taken", remotes_.dots_take_);
  }

  void Say(const std::string& reply, absl::Duration more = absl::ZeroDuration()) {
    absl::Duration takes = more + remotes_.UpTo(temper().delay_max);
    if (remotes_.Chance(temper().tarpit)) takes += remotes_.UpTo(temper().tarpit_max);
    speaks_ = std::max(speaks_, remotes_.loop_.now()) + takes;
    remotes_.loop_.At(speaks_, [self = shared_from_this(), reply] {
      if (self->client_.alive()) {
        self->peer_.Feed(reply + "\r\n");
        self->client_.wake();
      }
    });
  }

  void HangUp() {
    gone_ = true;
    remotes_.loop_.At(std::max(speaks_, remotes_.loop_.now()), [self = shared_from_this()] {
      if (!self->client_.alive()) return;
      self->peer_.FeedEnd();
      self->peer_.RefuseWrites();
      self->client_.wake();
    });
  }

  MailRemotes& remotes_;
  const size_t destination_;
  const RemoteClient client_;
  smtp::MemoryPeer peer_;
  std::string input_;
  bool in_content_ = false;
  bool gone_ = false;    // Nothing more is heard here.
  bool stalls_ = false;  // And the connection stays.
  std::string sender_;
  std::vector<std::string> accepted_;
  std::vector<std::string> told_recipients_;  // Of the content under way.
  absl::Duration arrives_ = absl::ZeroDuration();
  absl::Duration speaks_ = absl::ZeroDuration();
};

class MailRemotes::SimConnector final : public smtp::Connector {
 public:
  SimConnector(MailRemotes& remotes, RemoteClient client)
      : remotes_(remotes), client_(std::move(client)) {}

  asio::awaitable<absl::StatusOr<std::unique_ptr<smtp::Stream>>> Connect(
      asio::any_io_executor executor, Endpoint to, smtp::ConnectOptions options) override {
    const size_t destination = to.address.octets()[3] - 1u;
    const RemoteTemper temper = remotes_.tempers_.at(destination);
    const bool mute = remotes_.Chance(temper.mute_connection);
    const bool refused = remotes_.Chance(temper.refuse_connection);
    smtp::Timer timer(executor);
    const absl::Duration takes = mute ? options.timeout : remotes_.UpTo(2 * temper.delay_max);
    timer.expires_after(absl::ToChronoNanoseconds(takes));
    auto [ignored] = co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
    (void)ignored;
    if (mute) co_return absl::UnavailableError("no answer");
    if (refused) co_return absl::UnavailableError("connection refused");
    auto talk = std::make_shared<Talk>(remotes_, destination, client_);
    std::erase_if(remotes_.talks_, [](const auto& one) { return one.second->over(); });
    remotes_.talks_.emplace(++remotes_.connections_, talk);
    if (remotes_.on_connect_) remotes_.on_connect_(remotes_.OpenAt(destination));
    co_return std::make_unique<smtp::Stream>(talk->Begin(executor), options.stream);
  }

 private:
  MailRemotes& remotes_;
  const RemoteClient client_;
};

// d3.test has the mail host mx.d3.test.
class MailRemotes::SimResolver final : public smtp::Resolver {
 public:
  explicit SimResolver(MailRemotes& remotes) : remotes_(remotes) {}

  asio::awaitable<smtp::MxAnswer> LookupMx(std::string name) override {
    smtp::MxAnswer answer;
    const size_t destination = NumberOf(name);
    if (Fails(destination)) co_return answer;
    answer.status = smtp::DnsStatus::kOk;
    answer.records.push_back({10, "mx." + name});
    co_return answer;
  }
  asio::awaitable<smtp::AddressAnswer> LookupA(std::string name) override {
    smtp::AddressAnswer answer;
    const size_t destination = NumberOf(name.substr(name.find('.') + 1));
    if (Fails(destination)) co_return answer;
    answer.status = smtp::DnsStatus::kOk;
    answer.records.push_back(AddressOf(destination));
    co_return answer;
  }
  asio::awaitable<smtp::AddressAnswer> LookupAaaa(std::string) override {
    smtp::AddressAnswer answer;
    answer.status = smtp::DnsStatus::kNoData;
    co_return answer;
  }
  asio::awaitable<smtp::TextAnswer> LookupTxt(std::string) override {
    co_return smtp::TextAnswer();
  }
  asio::awaitable<smtp::TlsaAnswer> LookupTlsa(std::string) override {
    co_return smtp::TlsaAnswer();
  }
  asio::awaitable<smtp::NameAnswer> LookupPtr(IpAddress) override { co_return smtp::NameAnswer(); }

 private:
  size_t NumberOf(const std::string& domain) const {
    if (domain == kSendersDomain) return remotes_.destinations();
    size_t number = 0;
    std::from_chars(domain.data() + 1, domain.data() + domain.size(), number);
    return number;
  }
  bool Fails(size_t destination) {
    return remotes_.Chance(remotes_.tempers_.at(destination).unknown_name);
  }

  MailRemotes& remotes_;
};

absl::Duration MailRemotes::UpTo(absl::Duration most) {
  return most * (static_cast<double>(luck_.Below(10'000)) / 10'000.0);
}

bool MailRemotes::IsBad(std::string_view address) {
  return address.starts_with('r') && TokenOf(address) % 16 == 3;
}

void MailRemotes::Heal() {
  for (RemoteTemper& temper : tempers_) temper = RemoteTemper();
}

uint64_t MailRemotes::OpenAt(size_t destination) const {
  return static_cast<uint64_t>(
      std::count_if(talks_.begin(), talks_.end(), [destination](const auto& one) {
        return one.second->destination() == destination && !one.second->over();
      }));
}

void MailRemotes::SlowDown(absl::Duration delay_max) {
  for (RemoteTemper& temper : tempers_) temper.delay_max = delay_max;
}

std::unique_ptr<smtp::Connector> MailRemotes::MakeConnector(RemoteClient client) {
  return std::make_unique<SimConnector>(*this, std::move(client));
}

std::unique_ptr<smtp::Resolver> MailRemotes::MakeResolver() {
  return std::make_unique<SimResolver>(*this);
}

void MailRemotes::Forget(NodeId node) {
  std::erase_if(talks_, [node](const auto& one) { return one.second->node() == node; });
}

}  // namespace holdfast::raft_test
