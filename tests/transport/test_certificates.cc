#include "tests/transport/test_certificates.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstdio>

#include "base/check.h"

namespace holdfast::raft {
namespace {

void AddExtension(X509* certificate, int nid, const std::string& value) {
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str());
  HOLDFAST_CHECK(extension != nullptr) << value;
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

X509* NewCertificate(EVP_PKEY* key, const char* name, int serial) {
  X509* certificate = X509_new();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 24 * 3600);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
  X509_set_pubkey(certificate, key);
  return certificate;
}

FILE* OpenFile(const std::string& file) {
  FILE* out = fopen(file.c_str(), "w");
  HOLDFAST_CHECK(out != nullptr) << file;
  return out;
}

}  // namespace

std::string TestAuthority::NewFile() {
  const char* folder = getenv("TEST_TMPDIR");
  std::string file = std::string(folder != nullptr ? folder : "/tmp") + "/peer-pem-XXXXXX";
  const int descriptor = mkstemp(file.data());
  HOLDFAST_CHECK(descriptor >= 0) << "no temporary file " << file;
  close(descriptor);
  files_.push_back(file);
  return file;
}

TestAuthority::TestAuthority() : authority_file_(NewFile()) {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = NewCertificate(key, "test authority", 1);
  X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
  AddExtension(certificate, NID_basic_constraints, "critical,CA:TRUE");
  HOLDFAST_CHECK(X509_sign(certificate, key, EVP_sha256()) > 0) << "signing failed";
  FILE* out = OpenFile(authority_file_);
  PEM_write_X509(out, certificate);
  fclose(out);
  key_ = key;
  certificate_ = certificate;
}

TestAuthority::~TestAuthority() {
  X509_free(static_cast<X509*>(certificate_));
  EVP_PKEY_free(static_cast<EVP_PKEY*>(key_));
  for (const std::string& file : files_) std::remove(file.c_str());
}

PeerTlsFiles TestAuthority::Certify(const std::string& uri) {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = NewCertificate(key, "node", static_cast<int>(files_.size()) + 1);
  X509_set_issuer_name(certificate, X509_get_subject_name(static_cast<X509*>(certificate_)));
  AddExtension(certificate, NID_subject_alt_name, "URI:" + uri);
  HOLDFAST_CHECK(X509_sign(certificate, static_cast<EVP_PKEY*>(key_), EVP_sha256()) > 0)
      << "signing failed";
  PeerTlsFiles files{NewFile(), NewFile(), authority_file_};
  FILE* out = OpenFile(files.certificate_file);
  PEM_write_X509(out, certificate);
  fclose(out);
  out = OpenFile(files.key_file);
  PEM_write_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr);
  fclose(out);
  X509_free(certificate);
  EVP_PKEY_free(key);
  return files;
}

}  // namespace holdfast::raft
