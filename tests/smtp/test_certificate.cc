#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include <cstdio>
#include <cstdlib>

#include "base/check.h"
#include "tests/smtp/dialogue.h"

namespace holdfast::smtp {
namespace {

TlsServerOptions MakeCertificate() {
  const char* folder = getenv("TEST_TMPDIR");
  std::string file = std::string(folder != nullptr ? folder : "/tmp") + "/certificate-XXXXXX";
  const int descriptor = mkstemp(file.data());
  HOLDFAST_CHECK(descriptor >= 0) << "no temporary file " << file;
  FILE* out = fdopen(descriptor, "w");

  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = X509_new();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 24 * 3600);
  X509_NAME* name = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("relay.test"), -1, -1, 0);
  X509_set_issuer_name(certificate, name);
  X509_set_pubkey(certificate, key);
  X509_EXTENSION* names =
      X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "DNS:relay.test");
  X509_add_ext(certificate, names, -1);
  X509_EXTENSION_free(names);
  HOLDFAST_CHECK(X509_sign(certificate, key, EVP_sha256()) > 0) << "signing failed";
  PEM_write_X509(out, certificate);
  PEM_write_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr);
  X509_free(certificate);
  EVP_PKEY_free(key);
  fclose(out);
  return {file, file};
}

}  // namespace

TlsServerOptions TestCertificate() {
  static const TlsServerOptions* const options = [] {
    std::atexit([] { std::remove(TestCertificate().key_file.c_str()); });
    return new TlsServerOptions(MakeCertificate());
  }();
  return *options;
}

}  // namespace holdfast::smtp
