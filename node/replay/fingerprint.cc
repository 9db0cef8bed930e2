#include "node/replay/fingerprint.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/check.h"

namespace holdfast::node {

struct Fingerprint::Digest {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~Digest() { EVP_MD_CTX_free(context); }

  void Add(std::string_view bytes) {
    HOLDFAST_CHECK(EVP_DigestUpdate(context, bytes.data(), bytes.size()) == 1) << "SHA-256";
  }
  // With its length in front: no two lists of fields run together to the same bytes.
  void AddField(std::string_view field) {
    std::string length(8, '\0');
    for (int i = 0; i < 8; ++i) {
      length[i] = static_cast<char>(uint64_t{field.size()} >> (8 * i));
    }
    Add(length);
    Add(field);
  }
};

Fingerprint::Fingerprint(const smtp::Envelope& envelope) : digest_(std::make_unique<Digest>()) {
  HOLDFAST_CHECK(digest_->context != nullptr &&
                 EVP_DigestInit_ex(digest_->context, EVP_sha256(), nullptr) == 1)
      << "SHA-256";
  digest_->AddField(envelope.reverse_path);
  std::vector<std::string> recipients;
  for (const smtp::EnvelopeRecipient& recipient : envelope.recipients) {
    recipients.push_back(recipient.local_part + "@" + recipient.destination);
  }
  std::sort(recipients.begin(), recipients.end());
  digest_->AddField(std::to_string(recipients.size()));
  for (const std::string& recipient : recipients) digest_->AddField(recipient);
  const bool known = !envelope.client.auth_user.empty();
  digest_->AddField(known ? "user" : "address");
  digest_->AddField(known ? envelope.client.auth_user : envelope.client.address.ToString());
}

Fingerprint::~Fingerprint() = default;

void Fingerprint::Add(std::string_view content) { digest_->Add(content); }

std::string Fingerprint::Finish() {
  std::string sha256(EVP_MAX_MD_SIZE, '\0');
  unsigned int size = 0;
  HOLDFAST_CHECK(EVP_DigestFinal_ex(digest_->context,
                                    reinterpret_cast<unsigned char*>(sha256.data()), &size) == 1)
      << "SHA-256";
  sha256.resize(size);
  return sha256;
}

}  // namespace holdfast::node
