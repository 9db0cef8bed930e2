// base/crc32c.h
// CRC-32C (Castagnoli), the checksum of every header and body on disk and on the wire. Uses SSE4.2
// when the processor has it. Threads: any.
#pragma once

#include <cstdint>
#include <string_view>

namespace holdfast {

// The checksum of `bytes` appended to something whose checksum is `seed` (0 for nothing).
uint32_t Crc32c(std::string_view bytes, uint32_t seed = 0);

}  // namespace holdfast
