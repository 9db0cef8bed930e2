#include "node/limits/share_codec.h"

#include <cmath>

namespace holdfast::node {
namespace {

constexpr double kMilli = 1000;

}  // namespace

void PutAsk(const ShareAsk& ask, peer_call::ShareAsk* to) {
  to->set_destination(ask.destination);
  to->set_term(ask.term);
  to->set_grant(ask.grant);
  to->set_connections_enforced(static_cast<uint32_t>(ask.enforced.connections));
  to->set_millimessages_enforced(static_cast<uint64_t>(std::ceil(ask.enforced.messages * kMilli)));
  to->set_connections_wanted(static_cast<uint32_t>(ask.wanted.connections));
  to->set_millimessages_wanted(static_cast<uint64_t>(std::ceil(ask.wanted.messages * kMilli)));
  to->set_connections_open(ask.open);
}

ShareAsk AskOf(const peer_call::ShareAsk& ask) {
  const auto amount = [](uint32_t connections, uint64_t millimessages) {
    return queue::Allowance{static_cast<double>(connections),
                            static_cast<double>(millimessages) / kMilli};
  };
  return {ask.destination(),
          ask.term(),
          ask.grant(),
          amount(ask.connections_enforced(), ask.millimessages_enforced()),
          amount(ask.connections_wanted(), ask.millimessages_wanted()),
          ask.connections_open()};
}

void PutGrant(const ShareGrant& grant, peer_call::ShareGrant* to) {
  to->set_destination(grant.destination);
  to->set_term(grant.term);
  to->set_grant(grant.grant);
  to->set_connections(static_cast<uint32_t>(grant.share.connections));
  to->set_millimessages(static_cast<uint64_t>(std::floor(grant.share.messages * kMilli)));
}

ShareGrant GrantOf(const peer_call::ShareGrant& grant) {
  return {grant.destination(),
          grant.term(),
          grant.grant(),
          {static_cast<double>(grant.connections()),
           static_cast<double>(grant.millimessages()) / kMilli}};
}

}  // namespace holdfast::node
