// queue/dsn/explain.h
// Status codes in words that the sender of a mail understands (RFC 3463).
// Threads: any; pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace holdfast::queue {

// "There is no mailbox with this name at example.net." Always a whole sentence.
std::string ExplainStatus(std::string_view enhanced, uint32_t code, std::string_view domain);

// "5.1.1" or the best that `code` allows ("5.0.0", "4.0.0"); never malformed. `failed` turns class
// 4 into what it was when given up, without changing the digits that were said.
std::string CleanEnhanced(std::string_view enhanced, uint32_t code, bool failed);

}  // namespace holdfast::queue
