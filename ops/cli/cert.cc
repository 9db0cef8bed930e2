// `holdfast cert ...`: the keys of a cluster. Needs no node.
#include <absl/time/time.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "base/clock.h"
#include "base/text.h"
#include "ops/cli/certificates.h"
#include "ops/cli/new_file.h"
#include "ops/cli/session.h"
#include "ops/cli/table_print.h"

namespace holdfast::cli {
namespace {

constexpr int kAuthorityDays = 3650;
constexpr int kNodeDays = 730;
constexpr int kDaysMax = 36500;
// A clock that is behind ours by less than this takes the certificate all the same.
constexpr absl::Duration kClockDifference = absl::Hours(1);
constexpr const char* kAuthorityFile = "ca.pem";
constexpr const char* kAuthorityKeyFile = "ca.key";

struct Made {
  std::string certificate_file;
  std::string key_file;
};

std::string In(const std::string& directory, std::string_view name) {
  return format("{}{}{}", directory, directory.ends_with('/') ? "" : "/", name);
}

absl::Time Now() { return SystemClock().Now(); }

Validity FromNow(int days) {
  const absl::Time now = Now();
  return {now - kClockDifference, now + absl::Hours(24) * days};
}

std::string Joined(const google::protobuf::RepeatedPtrField<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ",") + word;
  return text;
}

void PrintCertificates(const admin::CertificateList& list, std::ostream& out) {
  Table table({{"KIND"},
               {"NODE", Align::kRight},
               {"CLUSTER"},
               {"HOSTS"},
               {"ENDS"},
               {"DAYS LEFT", Align::kRight},
               {"KEY"},
               {"SUBJECT"},
               {"ISSUER"},
               {"SHA-256"}});
  for (const admin::Certificate& one : list.certificates()) {
    const std::string validity = one.validity() == "valid" ? "" : format(" ({})", one.validity());
    table.AddRow({one.kind(), one.node_id() == 0 ? "-" : format("{}", one.node_id()),
                  one.cluster_id().empty() ? "-" : one.cluster_id(),
                  one.hosts().empty() ? "-" : Joined(one.hosts()),
                  TimeText(one.not_after()) + validity, format("{}", one.days_left()), one.key(),
                  one.subject(), one.issuer(), one.sha256()});
  }
  table.Print(out);
}

// False when it failed, which is said already.
bool Check(Session& session, const absl::Status& status, std::string_view advice = "") {
  if (status.ok()) return true;
  session.Fail(format("{}{}{}", Message(status), advice.empty() ? "" : "; ", advice));
  return false;
}

bool RefuseExisting(Session& session, const Made& files, bool force) {
  if (force) return true;
  for (const std::string& file : {files.key_file, files.certificate_file}) {
    if (!FileExists(file)) continue;
    session.Fail(format("{} is there already; give another --out, or --force to replace it", file));
    return false;
  }
  return true;
}

// The key first: a certificate without its key would look as if all was well.
bool WritePair(Session& session, const KeyedCertificate& made, const Made& files, bool force) {
  constexpr std::string_view kAdvice = "nothing was made that is of use";
  return Check(session, WriteNewFile(files.key_file, made.key_pem, {true, force}), kAdvice) &&
         Check(session, WriteNewFile(files.certificate_file, made.certificate_pem, {false, force}),
               format("remove {} and try again", files.key_file));
}

// What was made, to both kinds of readers.
void Report(Session& session, const KeyedCertificate& made, const Made& files,
            std::string_view advice) {
  absl::StatusOr<admin::CertificateList> list = ReadCertificates(made.certificate_pem, Now());
  if (!Check(session, list.status())) return;
  admin::Certificate* const one = list->mutable_certificates(0);
  one->set_file(files.certificate_file);
  one->set_key_file(files.key_file);
  if (session.json()) {
    session.PrintJson(*list);
    return;
  }
  const std::string who = one->kind() == "node"
                              ? format("node {} of cluster {}", one->node_id(), one->cluster_id())
                              : format("authority of cluster {}", one->cluster_id());
  session.out() << format("{}, until {}\n  certificate  {}\n  key          {}\n{}", who,
                          TimeText(one->not_after()), files.certificate_file, files.key_file,
                          advice);
}

// ---- ca -----------------------------------------------------------------------------------------

struct AuthorityRequest {
  std::string out;
  std::string cluster_id;
  int days = kAuthorityDays;
  bool force = false;
};

void RunAuthority(Session& session, AuthorityRequest request) {
  const Made files{In(request.out, kAuthorityFile), In(request.out, kAuthorityKeyFile)};
  if (!RefuseExisting(session, files, request.force)) return;
  if (request.cluster_id.empty()) {
    absl::StatusOr<std::string> drawn = NewClusterId();
    if (!Check(session, drawn.status())) return;
    request.cluster_id = *std::move(drawn);
  }
  const absl::StatusOr<KeyedCertificate> made =
      NewAuthority(request.cluster_id, FromNow(request.days));
  if (!Check(session, made.status()) || !Check(session, MakeDirectory(request.out)) ||
      !WritePair(session, *made, files, request.force)) {
    return;
  }
  Report(session, *made, files,
         format("Keep the key off the nodes. Next: holdfast cert node --ca {} --node 1 --host "
                "NAME_OR_IP --out DIR\n",
                request.out));
}

void AddAuthority(CLI::App* cert, Session& session) {
  CLI::App* const verb = cert->add_subcommand("ca", "Makes the authority of a cluster");
  const auto request = std::make_shared<AuthorityRequest>();
  verb->add_option("--out", request->out, "directory for ca.pem and ca.key; made if missing")
      ->required();
  verb->add_option("--cluster-id", request->cluster_id,
                   "1 to 64 of A-Z a-z 0-9 - _ . ; 32 random digits when not given");
  verb->add_option("--days", request->days, "how long it is good for")
      ->check(CLI::Range(1, kDaysMax))
      ->capture_default_str();
  verb->add_flag("--force", request->force, "replaces files that are there");
  verb->footer(
      "Whoever has ca.key can be any node: keep it on a machine that is none.\n"
      "Examples:\n"
      "  holdfast cert ca --out ca\n"
      "  holdfast cert ca --out ca --cluster-id mail.example.com\n"
      "  holdfast cert ca --out ca-2036 --cluster-id mail.example.com   # its successor");
  session.OnRun(verb, [&session, request] { RunAuthority(session, *request); });
}

// ---- node ---------------------------------------------------------------------------------------

struct NodeRequest {
  std::string authority;
  std::string out;
  NodeNames names;
  int days = kNodeDays;
  bool force = false;
};

// A node's directory has the authority's certificate too. One that is there stays if it has ours
// in it, perhaps beside another's.
bool WriteAuthority(Session& session, const KeyedCertificate& authority, const std::string& file,
                    bool force) {
  if (FileExists(file)) {
    std::string held;
    if (!session.ReadFile(file, &held)) return false;
    if (held.find(authority.certificate_pem) != std::string::npos) return true;
    if (!force) {
      session.Fail(
          format("{} is of another authority; give another --out, or --force to replace "
                 "it",
                 file));
      return false;
    }
  }
  return Check(session, WriteNewFile(file, authority.certificate_pem, {false, force}));
}

absl::StatusOr<KeyedCertificate> MakeNode(const NodeRequest& request,
                                          const KeyedCertificate& authority) {
  absl::StatusOr<KeyedCertificate> made =
      NewNodeCertificate(authority, request.names, FromNow(request.days));
  if (absl::IsFailedPrecondition(made.status())) {
    return Annotate(made.status(),
                    format("--days {} is too many, give less or make a new one with `holdfast "
                           "cert ca`",
                           request.days));
  }
  return made;
}

void RunNode(Session& session, const NodeRequest& request) {
  const Made files{In(request.out, format("node{}.pem", request.names.node_id)),
                   In(request.out, format("node{}.key", request.names.node_id))};
  if (!RefuseExisting(session, files, request.force)) return;
  KeyedCertificate authority;
  if (!session.ReadFile(In(request.authority, kAuthorityFile), &authority.certificate_pem) ||
      !session.ReadFile(In(request.authority, kAuthorityKeyFile), &authority.key_pem)) {
    return;
  }
  const absl::StatusOr<KeyedCertificate> made = MakeNode(request, authority);
  if (!made.ok() && absl::IsInvalidArgument(made.status())) {
    session.Fail(format("no certificate by {}: {}", request.authority, Message(made.status())));
    return;
  }
  if (!Check(session, made.status()) || !Check(session, MakeDirectory(request.out)) ||
      !WriteAuthority(session, authority, In(request.out, kAuthorityFile), request.force) ||
      !WritePair(session, *made, files, request.force)) {
    return;
  }
  Report(session, *made, files,
         format("  authority    {}\nCopy the three to the node and name them in cluster.tls of its "
                "node file.\n",
                In(request.out, kAuthorityFile)));
}

void AddNode(CLI::App* cert, Session& session) {
  CLI::App* const verb = cert->add_subcommand("node", "Makes the certificate of one node");
  const auto request = std::make_shared<NodeRequest>();
  verb->add_option("--ca", request->authority, "directory of ca.pem and ca.key")->required();
  verb->add_option("--node", request->names.node_id, "the node's id, node_id in its node file")
      ->required()
      ->check(CLI::Range(uint64_t{1}, ~uint64_t{0}));
  verb->add_option("--host", request->names.hosts,
                   "DNS names and IP addresses under which others reach it")
      ->required()
      ->delimiter(',');
  verb->add_option("--out", request->out,
                   "directory for nodeN.pem, nodeN.key and ca.pem; made if missing")
      ->required();
  verb->add_option("--days", request->days, "how long it is good for")
      ->check(CLI::Range(1, kDaysMax))
      ->capture_default_str();
  verb->add_flag("--force", request->force, "replaces files that are there, to renew");
  verb->footer(
      "Examples:\n"
      "  holdfast cert node --ca ca --node 1 --host mx1.example.com,192.0.2.1 --out node1\n"
      "  holdfast cert node --ca ca --node 1 --host mx1.example.com --out node1 --force   # anew");
  session.OnRun(verb, [&session, request] { RunNode(session, *request); });
}

// ---- show ---------------------------------------------------------------------------------------

void AddShow(CLI::App* cert, Session& session) {
  CLI::App* const verb = cert->add_subcommand("show", "What is in a file of certificates");
  const auto file = std::make_shared<std::string>();
  verb->add_option("FILE", *file, "PEM; - for standard input")->required();
  verb->footer(
      "Examples:\n"
      "  holdfast cert show /etc/holdfast/node1.pem\n"
      "  holdfast cert show /etc/holdfast/ca.pem --output json");
  session.OnRun(verb, [&session, file] {
    std::string pem;
    if (!session.ReadFile(*file, &pem)) return;
    absl::StatusOr<admin::CertificateList> list = ReadCertificates(pem, Now());
    if (!list.ok()) {
      session.Fail(format("no certificates in {}: {}", *file, Message(list.status())));
      return;
    }
    for (admin::Certificate& one : *list->mutable_certificates()) one.set_file(*file);
    if (session.json()) {
      session.PrintJson(*list);
    } else {
      PrintCertificates(*list, session.out());
    }
  });
}

}  // namespace

void AddCert(CLI::App& app, Session& session) {
  CLI::App* const cert = app.add_subcommand("cert", "The keys of a cluster; needs no node");
  cert->require_subcommand(1);
  cert->footer(
      "Examples:\n"
      "  holdfast cert ca --out ca\n"
      "  holdfast cert node --ca ca --node 1 --host mx1.example.com --out node1\n"
      "  holdfast cert show node1/node1.pem");
  AddAuthority(cert, session);
  AddNode(cert, session);
  AddShow(cert, session);
}

}  // namespace holdfast::cli
