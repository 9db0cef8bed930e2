#include "smtp/stream/test_certificate.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstdio>
#include <memory>

#include "base/check.h"

namespace holdfast::smtp {
namespace {

template <typename T, void (*Free)(T*)>
struct Freer {
  void operator()(T* object) const { Free(object); }
};
template <typename T, void (*Free)(T*)>
using Owned = std::unique_ptr<T, Freer<T, Free>>;

void AddExtension(X509* certificate, int nid, const std::string& value) {
  Owned<X509_EXTENSION, X509_EXTENSION_free> extension(
      X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str()));
  HOLDFAST_CHECK(extension != nullptr);
  HOLDFAST_CHECK(X509_add_ext(certificate, extension.get(), -1) == 1);
}

}  // namespace

TestCertificate::TestCertificate(const std::string& host) {
  Owned<EVP_PKEY, EVP_PKEY_free> key(EVP_EC_gen("P-256"));
  Owned<X509, X509_free> certificate(X509_new());
  HOLDFAST_CHECK(key != nullptr && certificate != nullptr);
  X509_set_version(certificate.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 86400);
  X509_NAME* name = X509_get_subject_name(certificate.get());
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(host.c_str()), -1, -1, 0);
  X509_set_issuer_name(certificate.get(), name);
  X509_set_pubkey(certificate.get(), key.get());
  AddExtension(certificate.get(), NID_subject_alt_name, "DNS:" + host);
  AddExtension(certificate.get(), NID_basic_constraints, "critical,CA:TRUE");
  HOLDFAST_CHECK(X509_sign(certificate.get(), key.get(), EVP_sha256()) > 0);

  const char* folder = getenv("TEST_TMPDIR");
  file_ = std::string(folder != nullptr ? folder : "/tmp") + "/certificate-XXXXXX";
  const int fd = mkstemp(file_.data());
  HOLDFAST_CHECK(fd >= 0);
  FILE* out = fdopen(fd, "w");
  HOLDFAST_CHECK(out != nullptr);
  HOLDFAST_CHECK(PEM_write_X509(out, certificate.get()) == 1);
  HOLDFAST_CHECK(PEM_write_PrivateKey(out, key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1);
  HOLDFAST_CHECK(fclose(out) == 0);
}

TestCertificate::~TestCertificate() { unlink(file_.c_str()); }

}  // namespace holdfast::smtp
