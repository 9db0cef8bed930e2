#include "ops/cli/certificates.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <memory>
#include <optional>

#include "raft/transport/peer_identity.h"

namespace holdfast::cli {
namespace {

using absl::StatusCode;

template <auto kFree>
struct Deleter {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};
using BioPtr = std::unique_ptr<BIO, Deleter<BIO_free_all>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using CertificatePtr = std::unique_ptr<X509, Deleter<X509_free>>;
using NamesPtr = std::unique_ptr<GENERAL_NAMES, Deleter<GENERAL_NAMES_free>>;
using ExtensionPtr = std::unique_ptr<X509_EXTENSION, Deleter<X509_EXTENSION_free>>;

constexpr std::string_view kScheme = "holdfast://";
constexpr std::string_view kAuthorityPath = "/authority";
constexpr size_t kDnsNameBytesMax = 253;
constexpr size_t kDnsLabelBytesMax = 63;

template <typename... Args>
absl::Status Invalid(fmt::format_string<Args...> text, Args&&... args) {
  return MakeStatus(StatusCode::kInvalidArgument, text, std::forward<Args>(args)...);
}

absl::Status OpenSslFailed(std::string_view what) {
  std::array<char, 256> reason{};
  ERR_error_string_n(ERR_get_error(), reason.data(), reason.size());
  ERR_clear_error();
  return MakeStatus(StatusCode::kInternal, "OpenSSL cannot {}: {}", what, reason.data());
}

std::string Hex(const unsigned char* bytes, size_t size) {
  std::string text;
  for (size_t i = 0; i < size; ++i) text += format("{:02x}", bytes[i]);
  return text;
}

// ---- from and to PEM ----------------------------------------------------------------------------

BioPtr BioOf(std::string_view text) {
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string TextOf(BIO* bio) {
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(bio, &bytes);
  return size <= 0 ? "" : std::string(bytes, static_cast<size_t>(size));
}

// Instead of OpenSSL's own, which would ask at the terminal.
int NoPassphrase(char*, int, int, void*) { return 0; }

absl::StatusOr<std::vector<CertificatePtr>> Certificates(std::string_view pem) {
  const BioPtr in = BioOf(pem);
  std::vector<CertificatePtr> found;
  while (found.size() <= kCertificatesMax) {
    CertificatePtr certificate(PEM_read_bio_X509(in.get(), nullptr, NoPassphrase, nullptr));
    if (certificate == nullptr) break;
    found.push_back(std::move(certificate));
  }
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (found.size() > kCertificatesMax) return Invalid("more than {} of them", kCertificatesMax);
  if (!found.empty() && !at_end) return Invalid("number {} is damaged", found.size() + 1);
  if (!found.empty()) return found;
  if (!at_end) return Invalid("it is damaged");
  if (pem.find(" PRIVATE KEY-----") != std::string_view::npos) {
    return Invalid("it holds a private key and no certificate");
  }
  return Invalid("there is no \"-----BEGIN CERTIFICATE-----\" in it");
}

absl::StatusOr<KeyPtr> ReadKey(std::string_view pem) {
  const BioPtr in = BioOf(pem);
  KeyPtr key(PEM_read_bio_PrivateKey(in.get(), nullptr, NoPassphrase, nullptr));
  ERR_clear_error();
  if (key != nullptr) return key;
  return Invalid("no private key in PEM without a passphrase");
}

absl::StatusOr<KeyedCertificate> ToPem(X509* certificate, EVP_PKEY* key) {
  const BioPtr certificate_out(BIO_new(BIO_s_mem()));
  const BioPtr key_out(BIO_new(BIO_s_secmem()));
  if (PEM_write_bio_X509(certificate_out.get(), certificate) != 1 ||
      PEM_write_bio_PrivateKey(key_out.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return OpenSslFailed("write PEM");
  }
  return KeyedCertificate{TextOf(certificate_out.get()), TextOf(key_out.get())};
}

// ---- reading ------------------------------------------------------------------------------------

NamesPtr AlternativeNames(const X509* certificate) {
  NamesPtr names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  ERR_clear_error();
  return names;
}

std::string Text(const ASN1_STRING* string) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
          static_cast<size_t>(ASN1_STRING_length(string))};
}

std::vector<std::string> UrisOf(const X509* certificate) {
  const NamesPtr names = AlternativeNames(certificate);
  std::vector<std::string> uris;
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type == GEN_URI) uris.push_back(Text(name->d.uniformResourceIdentifier));
  }
  return uris;
}

std::string AddressText(const ASN1_OCTET_STRING* address) {
  const int size = ASN1_STRING_length(address);
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (size == 4 || size == 16) {
    inet_ntop(size == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(address), text.data(),
              text.size());
  }
  return text.data();
}

std::string NameText(const X509_NAME* name) {
  const BioPtr out(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(out.get(), name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
  return TextOf(out.get());
}

absl::Time TimeOf(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return absl::UnixEpoch();
  return absl::FromTimeT(timegm(&parts));
}

std::string KeyText(const X509* certificate) {
  EVP_PKEY* const key = X509_get0_pubkey(certificate);
  if (key == nullptr) return "unknown";
  std::array<char, 64> group{};
  if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
      EVP_PKEY_get_group_name(key, group.data(), group.size(), nullptr) == 1) {
    const std::string_view name = group.data();
    return format("EC {}", name == "prime256v1" ? "P-256" : name);
  }
  const char* const type = EVP_PKEY_get0_type_name(key);
  return format("{} {}", type == nullptr ? "unknown" : type, EVP_PKEY_get_bits(key));
}

// The cluster of an authority made here.
std::optional<std::string> ClusterOfAuthority(const X509* certificate) {
  for (const std::string& uri : UrisOf(certificate)) {
    std::string_view rest = uri;
    if (!rest.starts_with(kScheme) || !rest.ends_with(kAuthorityPath)) continue;
    rest.remove_prefix(kScheme.size());
    rest.remove_suffix(kAuthorityPath.size());
    if (raft::IsClusterId(rest)) return std::string(rest);
  }
  return std::nullopt;
}

void FillIdentity(const X509* certificate, admin::Certificate& out) {
  out.set_kind("other");
  if (const std::optional<std::string> cluster = ClusterOfAuthority(certificate)) {
    out.set_kind("authority");
    out.set_cluster_id(*cluster);
    return;
  }
  const absl::StatusOr<raft::PeerIdentity> peer = raft::IdentityOfCertificate(UrisOf(certificate));
  if (!peer.ok()) return;  // Somebody else's, which `kind` says.
  out.set_kind("node");
  out.set_cluster_id(peer->cluster_id);
  out.set_node_id(peer->node.value());
}

void FillTimes(const X509* certificate, absl::Time now, admin::Certificate& out) {
  const absl::Time from = TimeOf(X509_get0_notBefore(certificate));
  const absl::Time until = TimeOf(X509_get0_notAfter(certificate));
  out.mutable_not_before()->set_seconds(absl::ToUnixSeconds(from));
  out.mutable_not_after()->set_seconds(absl::ToUnixSeconds(until));
  out.set_days_left(absl::ToInt64Hours(until - now) / 24);
  out.set_validity(now < from ? "not yet valid" : now > until ? "expired" : "valid");
}

admin::Certificate Describe(X509* certificate, absl::Time now) {
  admin::Certificate out;
  FillIdentity(certificate, out);
  FillTimes(certificate, now, out);
  const NamesPtr names = AlternativeNames(certificate);
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type == GEN_DNS) out.add_hosts(Text(name->d.dNSName));
    if (name->type == GEN_IPADD) out.add_hosts(AddressText(name->d.iPAddress));
  }
  out.set_subject(NameText(X509_get_subject_name(certificate)));
  out.set_issuer(NameText(X509_get_issuer_name(certificate)));
  const ASN1_INTEGER* const serial = X509_get0_serialNumber(certificate);
  out.set_serial(
      Hex(ASN1_STRING_get0_data(serial), static_cast<size_t>(ASN1_STRING_length(serial))));
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  X509_digest(certificate, EVP_sha256(), digest.data(), &size);
  out.set_sha256(Hex(digest.data(), size));
  out.set_key(KeyText(certificate));
  return out;
}

// ---- making -------------------------------------------------------------------------------------

bool IsDnsName(std::string_view name) {
  if (name.empty() || name.size() > kDnsNameBytesMax) return false;
  std::string_view label;
  while (true) {
    const size_t dot = name.find('.');
    label = name.substr(0, dot);
    const auto good = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
    };
    if (label.empty() || label.size() > kDnsLabelBytesMax || label.front() == '-' ||
        label.back() == '-' || !std::all_of(label.begin(), label.end(), good)) {
      return false;
    }
    if (dot == std::string_view::npos) break;
    name.remove_prefix(dot + 1);
  }
  // RFC 1123 2.1: "192.0.2.256" is a mistyped address and no name.
  return !std::all_of(label.begin(), label.end(), [](char c) { return c >= '0' && c <= '9'; });
}

absl::Status AddName(GENERAL_NAMES* names, int type, ASN1_STRING* value) {
  GENERAL_NAME* const name = value == nullptr ? nullptr : GENERAL_NAME_new();
  if (name == nullptr) return OpenSslFailed("make a name");
  GENERAL_NAME_set0_value(name, type, value);
  if (sk_GENERAL_NAME_push(names, name) == 0) return OpenSslFailed("make a name");
  return absl::OkStatus();
}

absl::Status AddText(GENERAL_NAMES* names, int type, const std::string& text) {
  ASN1_IA5STRING* const value = ASN1_IA5STRING_new();
  if (value == nullptr || ASN1_STRING_set(value, text.data(), static_cast<int>(text.size())) != 1) {
    return OpenSslFailed("make a name");
  }
  return AddName(names, type, value);
}

absl::Status AddHost(GENERAL_NAMES* names, const std::string& host) {
  ASN1_OCTET_STRING* const address = a2i_IPADDRESS(host.c_str());
  ERR_clear_error();
  if (address != nullptr) return AddName(names, GEN_IPADD, address);
  if (IsDnsName(host)) return AddText(names, GEN_DNS, host);
  return Invalid("{} is neither a DNS name nor an IP address (without brackets and port)",
                 host.empty() ? "an empty host" : host);
}

absl::Status AddExtension(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context{};
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value));
  if (extension == nullptr || X509_add_ext(certificate, extension.get(), -1) != 1) {
    return OpenSslFailed(format("add {}", OBJ_nid2sn(nid)));
  }
  return absl::OkStatus();
}

absl::Status AddSubject(X509* certificate, const char* field, const std::string& value) {
  const auto* const bytes = reinterpret_cast<const unsigned char*>(value.data());
  if (X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), field, MBSTRING_UTF8, bytes,
                                 static_cast<int>(value.size()), -1, 0) != 1) {
    return OpenSslFailed("name the certificate");
  }
  return absl::OkStatus();
}

// 127 random bits: positive, and never the same twice (RFC 5280 4.1.2.2).
absl::Status SetSerial(X509* certificate) {
  std::array<unsigned char, 16> bytes{};
  if (RAND_bytes(bytes.data(), bytes.size()) != 1) return OpenSslFailed("draw a serial number");
  bytes[0] = static_cast<unsigned char>((bytes[0] & 0x7f) | 0x40);
  const std::unique_ptr<BIGNUM, Deleter<BN_free>> number(
      BN_bin2bn(bytes.data(), bytes.size(), nullptr));
  if (number == nullptr ||
      BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) == nullptr) {
    return OpenSslFailed("set the serial number");
  }
  return absl::OkStatus();
}

absl::StatusOr<CertificatePtr> Unsigned(EVP_PKEY* key, const std::string& cluster_id,
                                        const Validity& validity) {
  CertificatePtr certificate(X509_new());
  if (certificate == nullptr || X509_set_version(certificate.get(), X509_VERSION_3) != 1 ||
      X509_set_pubkey(certificate.get(), key) != 1 ||
      ASN1_TIME_set(X509_getm_notBefore(certificate.get()), absl::ToTimeT(validity.from)) ==
          nullptr ||
      ASN1_TIME_set(X509_getm_notAfter(certificate.get()), absl::ToTimeT(validity.until)) ==
          nullptr) {
    return OpenSslFailed("begin a certificate");
  }
  HOLDFAST_RETURN_IF_ERROR(SetSerial(certificate.get()));
  HOLDFAST_RETURN_IF_ERROR(AddSubject(certificate.get(), "O", cluster_id));
  return certificate;
}

// Names, the key identifiers and the signature, which come last for both kinds.
absl::StatusOr<KeyedCertificate> Finish(X509* certificate, EVP_PKEY* key, X509* issuer,
                                        EVP_PKEY* issuer_key, GENERAL_NAMES* names) {
  if (X509_set_issuer_name(certificate, X509_get_subject_name(issuer)) != 1 ||
      X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) != 1) {
    return OpenSslFailed("name the certificate");
  }
  HOLDFAST_RETURN_IF_ERROR(AddExtension(certificate, issuer, NID_subject_key_identifier, "hash"));
  HOLDFAST_RETURN_IF_ERROR(
      AddExtension(certificate, issuer, NID_authority_key_identifier, "keyid:always"));
  if (X509_sign(certificate, issuer_key, EVP_sha256()) <= 0) return OpenSslFailed("sign");
  return ToPem(certificate, key);
}

struct Issuer {
  CertificatePtr certificate;
  std::string cluster_id;
};

absl::StatusOr<Issuer> FindIssuer(std::string_view pem, EVP_PKEY* key) {
  HOLDFAST_ASSIGN_OR_RETURN(std::vector<CertificatePtr> found, Certificates(pem));
  for (CertificatePtr& candidate : found) {
    const bool fits = X509_check_private_key(candidate.get(), key) == 1;
    ERR_clear_error();
    if (!fits) continue;
    std::optional<std::string> cluster = ClusterOfAuthority(candidate.get());
    if (cluster) return Issuer{std::move(candidate), *std::move(cluster)};
    return Invalid("the certificate is not that of a cluster's authority");
  }
  return Invalid("the key is not that of the certificate beside it");
}

}  // namespace

absl::StatusOr<std::string> NewClusterId() {
  std::array<unsigned char, 16> bytes{};
  if (RAND_bytes(bytes.data(), bytes.size()) != 1) return OpenSslFailed("draw a cluster id");
  return Hex(bytes.data(), bytes.size());
}

absl::StatusOr<KeyedCertificate> NewAuthority(const std::string& cluster_id,
                                              const Validity& validity) {
  if (!raft::IsClusterId(cluster_id)) {
    return Invalid("the cluster id must be 1 to 64 of A-Z a-z 0-9 - _ .");
  }
  const KeyPtr key(EVP_EC_gen("P-256"));
  if (key == nullptr) return OpenSslFailed("make a key");
  HOLDFAST_ASSIGN_OR_RETURN(CertificatePtr certificate, Unsigned(key.get(), cluster_id, validity));
  X509* const made = certificate.get();
  std::array<unsigned char, 4> tag{};
  if (RAND_bytes(tag.data(), tag.size()) != 1) return OpenSslFailed("name the authority");
  HOLDFAST_RETURN_IF_ERROR(
      AddSubject(made, "CN", format("Holdfast authority {}", Hex(tag.data(), tag.size()))));
  HOLDFAST_RETURN_IF_ERROR(
      AddExtension(made, made, NID_basic_constraints, "critical,CA:TRUE,pathlen:0"));
  HOLDFAST_RETURN_IF_ERROR(AddExtension(made, made, NID_key_usage, "critical,keyCertSign,cRLSign"));
  const NamesPtr names(GENERAL_NAMES_new());
  HOLDFAST_RETURN_IF_ERROR(
      AddText(names.get(), GEN_URI, format("{}{}{}", kScheme, cluster_id, kAuthorityPath)));
  return Finish(made, key.get(), made, key.get(), names.get());
}

absl::StatusOr<KeyedCertificate> NewNodeCertificate(const KeyedCertificate& authority,
                                                    const NodeNames& names,
                                                    const Validity& validity) {
  if (names.node_id == 0) return Invalid("node ids begin with 1");
  if (names.hosts.empty() || names.hosts.size() > kHostsMax) {
    return Invalid("a node has 1 to {} hosts", kHostsMax);
  }
  HOLDFAST_ASSIGN_OR_RETURN(KeyPtr issuer_key, ReadKey(authority.key_pem));
  HOLDFAST_ASSIGN_OR_RETURN(Issuer issuer, FindIssuer(authority.certificate_pem, issuer_key.get()));
  X509* const signer = issuer.certificate.get();
  if (const absl::Time end = TimeOf(X509_get0_notAfter(signer)); validity.until > end) {
    return MakeStatus(StatusCode::kFailedPrecondition, "the authority itself ends on {}",
                      absl::FormatTime("%Y-%m-%d", end, absl::UTCTimeZone()));
  }
  const NamesPtr all(GENERAL_NAMES_new());
  HOLDFAST_RETURN_IF_ERROR(
      AddText(all.get(), GEN_URI, raft::IdentityUri({issuer.cluster_id, NodeId(names.node_id)})));
  for (const std::string& host : names.hosts) {
    HOLDFAST_RETURN_IF_ERROR(AddHost(all.get(), host));
  }
  const KeyPtr key(EVP_EC_gen("P-256"));
  if (key == nullptr) return OpenSslFailed("make a key");
  HOLDFAST_ASSIGN_OR_RETURN(CertificatePtr certificate,
                            Unsigned(key.get(), issuer.cluster_id, validity));
  X509* const made = certificate.get();
  HOLDFAST_RETURN_IF_ERROR(AddSubject(made, "CN", format("node {}", names.node_id)));
  HOLDFAST_RETURN_IF_ERROR(AddExtension(made, signer, NID_basic_constraints, "critical,CA:FALSE"));
  HOLDFAST_RETURN_IF_ERROR(AddExtension(made, signer, NID_key_usage, "critical,digitalSignature"));
  HOLDFAST_RETURN_IF_ERROR(AddExtension(made, signer, NID_ext_key_usage, "serverAuth,clientAuth"));
  return Finish(made, key.get(), signer, issuer_key.get(), all.get());
}

absl::StatusOr<admin::CertificateList> ReadCertificates(std::string_view pem, absl::Time now) {
  HOLDFAST_ASSIGN_OR_RETURN(std::vector<CertificatePtr> found, Certificates(pem));
  admin::CertificateList list;
  for (const CertificatePtr& certificate : found) {
    *list.add_certificates() = Describe(certificate.get(), now);
  }
  return list;
}

}  // namespace holdfast::cli
