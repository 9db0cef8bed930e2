// smtp/stream/test_certificate.h
// A self-signed certificate and its key, made anew for each test and gone with it.
// Threads: thread-compatible.
#pragma once

#include <string>

namespace holdfast::smtp {

class TestCertificate {
 public:
  // P-256, valid for a day, subject and only alternative name `host`. CHECKs that it could be made.
  explicit TestCertificate(const std::string& host);
  ~TestCertificate();
  TestCertificate(const TestCertificate&) = delete;
  TestCertificate& operator=(const TestCertificate&) = delete;

  // PEM: the certificate and the key.
  const std::string& file() const { return file_; }

 private:
  std::string file_;
};

}  // namespace holdfast::smtp
