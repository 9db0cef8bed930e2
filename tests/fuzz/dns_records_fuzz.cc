// Record data as a hostile DNS server would send it.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "smtp/dns/dns_records.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace holdfast::smtp;
  const std::string_view rdata(reinterpret_cast<const char*>(bytes), size);
  const auto mx = ReadMx(rdata);
  // No name that could break a command, a header or a log line gets through.
  if (mx) HOLDFAST_CHECK(mx->host.find_first_of(" \r\n\t\\\"<>@") == std::string::npos);
  if (mx) HOLDFAST_CHECK(mx->host.size() <= 255);
  const auto text = ReadTxt(rdata, RecordLimits{});
  if (text) HOLDFAST_CHECK(text->size() < size);
  ReadName(rdata);
  ReadTlsa(rdata);
  ReadA(rdata);
  ReadAaaa(rdata);
  return 0;
}
