#include "ops/cli/certificates.h"

#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <memory>

#include "raft/transport/peer_identity.h"

namespace holdfast::cli {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

Validity Days(int days) { return {kNow - absl::Hours(1), kNow + absl::Hours(24) * days}; }

KeyedCertificate AuthorityOf(const std::string& cluster) {
  absl::StatusOr<KeyedCertificate> made = NewAuthority(cluster, Days(3650));
  EXPECT_TRUE(made.ok()) << made.status();
  return *std::move(made);
}

std::shared_ptr<X509> Parse(const std::string& pem) {
  BIO* const in = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  std::shared_ptr<X509> certificate(PEM_read_bio_X509(in, nullptr, nullptr, nullptr), X509_free);
  BIO_free(in);
  return certificate;
}

// What OpenSSL thinks of `leaf` under `root` for `purpose` at kNow; X509_V_OK if nothing bad.
int Verify(const std::string& root, const std::string& leaf, int purpose) {
  X509_STORE* const store = X509_STORE_new();
  X509_STORE_add_cert(store, Parse(root).get());
  X509_STORE_CTX* const context = X509_STORE_CTX_new();
  const std::shared_ptr<X509> certificate = Parse(leaf);
  X509_STORE_CTX_init(context, store, certificate.get(), nullptr);
  X509_STORE_CTX_set_purpose(context, purpose);
  X509_STORE_CTX_set_time(context, 0, absl::ToTimeT(kNow));
  X509_STORE_CTX_set_flags(context, X509_V_FLAG_X509_STRICT);
  X509_verify_cert(context);
  const int result = X509_STORE_CTX_get_error(context);
  X509_STORE_CTX_free(context);
  X509_STORE_free(store);
  return result;
}

TEST(CertificatesTest, ANodeIsGoodForBothEndsUnderItsAuthorityAlone) {
  const KeyedCertificate authority = AuthorityOf("c1");
  const absl::StatusOr<KeyedCertificate> node =
      NewNodeCertificate(authority, {3, {"mx.example.com", "192.0.2.1", "2001:db8::1"}}, Days(2));
  ASSERT_TRUE(node.ok()) << node.status();
  EXPECT_EQ(Verify(authority.certificate_pem, node->certificate_pem, X509_PURPOSE_SSL_SERVER), 0);
  EXPECT_EQ(Verify(authority.certificate_pem, node->certificate_pem, X509_PURPOSE_SSL_CLIENT), 0);
  EXPECT_NE(Verify(authority.certificate_pem, node->certificate_pem, X509_PURPOSE_SMIME_SIGN), 0);
  EXPECT_NE(
      Verify(AuthorityOf("c1").certificate_pem, node->certificate_pem, X509_PURPOSE_SSL_SERVER), 0);
  const std::shared_ptr<X509> certificate = Parse(node->certificate_pem);
  EXPECT_EQ(X509_check_host(certificate.get(), "mx.example.com", 0, 0, nullptr), 1);
  EXPECT_EQ(X509_check_ip_asc(certificate.get(), "192.0.2.1", 0), 1);
  EXPECT_EQ(X509_check_ip_asc(certificate.get(), "2001:db8::1", 0), 1);
  EXPECT_EQ(X509_check_ca(certificate.get()), 0);
}

TEST(CertificatesTest, WhatWasMadeIsRead) {
  const KeyedCertificate authority = AuthorityOf("mail.example.com");
  const absl::StatusOr<KeyedCertificate> node =
      NewNodeCertificate(authority, {3, {"mx.example.com", "192.0.2.1", "::1"}}, Days(2));
  ASSERT_TRUE(node.ok()) << node.status();
  const absl::StatusOr<admin::CertificateList> list =
      ReadCertificates(node->certificate_pem + "# text\n" + authority.certificate_pem, kNow);
  ASSERT_TRUE(list.ok()) << list.status();
  ASSERT_EQ(list->certificates_size(), 2);
  const admin::Certificate& first = list->certificates(0);
  EXPECT_EQ(first.kind(), "node");
  EXPECT_EQ(first.node_id(), 3u);
  EXPECT_EQ(first.cluster_id(), "mail.example.com");
  ASSERT_EQ(first.hosts_size(), 3);
  EXPECT_EQ(first.hosts(1), "192.0.2.1");
  EXPECT_EQ(first.hosts(2), "::1");
  EXPECT_EQ(first.subject(), "CN=node 3,O=mail.example.com");
  EXPECT_EQ(first.days_left(), 2);
  EXPECT_EQ(first.validity(), "valid");
  EXPECT_EQ(first.key(), "EC P-256");
  EXPECT_EQ(first.sha256().size(), 64u);
  const admin::Certificate& second = list->certificates(1);
  EXPECT_EQ(second.kind(), "authority");
  EXPECT_EQ(second.subject(), first.issuer());
  EXPECT_EQ(second.days_left(), 3650);
}

TEST(CertificatesTest, TimesAreJudgedByTheClockGiven) {
  const KeyedCertificate authority = AuthorityOf("c1");
  const auto validity = [&](absl::Time now) {
    const absl::StatusOr<admin::CertificateList> list =
        ReadCertificates(authority.certificate_pem, now);
    return list.ok() ? list->certificates(0).validity() : "";
  };
  EXPECT_EQ(validity(kNow - absl::Hours(2)), "not yet valid");
  EXPECT_EQ(validity(kNow + absl::Hours(24) * 3651), "expired");
}

TEST(CertificatesTest, WrongNamesAreRefused) {
  const KeyedCertificate authority = AuthorityOf("c1");
  for (const char* host : {"", "a b", "mx..example.com", "-a.example", "192.0.2.256", "[::1]",
                           "mx.example.com:7026", "a,DNS:b", "*.example.com", "a_b.example"}) {
    const absl::Status status = NewNodeCertificate(authority, {1, {host}}, Days(2)).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << host;
  }
  EXPECT_FALSE(NewNodeCertificate(authority, {0, {"a.example"}}, Days(2)).ok());
  EXPECT_FALSE(NewNodeCertificate(authority, {1, {}}, Days(2)).ok());
  for (const char* cluster : {"", "a/b", "a b"}) EXPECT_FALSE(NewAuthority(cluster, Days(2)).ok());
  EXPECT_TRUE(NewAuthority(std::string(64, 'x'), Days(2)).ok());
  EXPECT_FALSE(NewAuthority(std::string(65, 'x'), Days(2)).ok());
}

TEST(CertificatesTest, NoNodeOutlivesItsAuthority) {
  const absl::Status status =
      NewNodeCertificate(AuthorityOf("c1"), {1, {"a.example"}}, Days(3651)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Message(status), "the authority itself ends on 2037-01-12");
}

TEST(CertificatesTest, OnlyAnAuthorityWithItsOwnKeySigns) {
  const KeyedCertificate old = AuthorityOf("c1");
  const KeyedCertificate fresh = AuthorityOf("c1");
  const auto sign = [](const std::string& certificate, const std::string& key) {
    return NewNodeCertificate({certificate, key}, {1, {"a.example"}}, Days(2));
  };
  EXPECT_EQ(Message(sign(old.certificate_pem, fresh.key_pem).status()),
            "the key is not that of the certificate beside it");
  // Both in one file, while they change over.
  const absl::StatusOr<KeyedCertificate> node =
      sign(old.certificate_pem + fresh.certificate_pem, fresh.key_pem);
  ASSERT_TRUE(node.ok()) << node.status();
  EXPECT_EQ(Verify(fresh.certificate_pem, node->certificate_pem, X509_PURPOSE_SSL_CLIENT), 0);
  EXPECT_EQ(Message(sign(node->certificate_pem, node->key_pem).status()),
            "the certificate is not that of a cluster's authority");
  EXPECT_EQ(Message(sign(old.certificate_pem, "nonsense").status()),
            "no private key in PEM without a passphrase");
}

TEST(CertificatesTest, WhatIsNoCertificateIsSaidSo) {
  const KeyedCertificate authority = AuthorityOf("c1");
  const auto problem = [](const std::string& pem) {
    return std::string(Message(ReadCertificates(pem, kNow).status()));
  };
  EXPECT_EQ(problem(""), "there is no \"-----BEGIN CERTIFICATE-----\" in it");
  EXPECT_EQ(problem(authority.key_pem), "it holds a private key and no certificate");
  std::string damaged = authority.certificate_pem;
  damaged[damaged.size() / 2] = '!';
  EXPECT_EQ(problem(damaged), "it is damaged");
  EXPECT_EQ(problem(authority.certificate_pem + damaged), "number 2 is damaged");
  std::string many;
  for (size_t i = 0; i <= kCertificatesMax; ++i) many += authority.certificate_pem;
  EXPECT_EQ(problem(many), "more than 100 of them");
}

TEST(CertificatesTest, ClusterIdsAreNewEachTime) {
  const absl::StatusOr<std::string> first = NewClusterId();
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(first->size(), 32u);
  EXPECT_TRUE(raft::IsClusterId(*first));
  EXPECT_NE(*first, *NewClusterId());
}

}  // namespace
}  // namespace holdfast::cli
