// smtp/protocol/data_framing.h
// Where a message begins and ends, in both directions (RFC 5321 4.5.2, RFC 3030).
//
// Receiving: only CRLF.CRLF ends DATA. A dot after anything else (LF.LF, CR.CR, LF.CRLF...) is
// content, so that no other server's idea of a line end can smuggle a second message through us.
// Sending: what leaves is dot-stuffed, ends with CRLF, and never holds a bare CR or LF.
//
// Threads: each object belongs to one conversation.
// Limits:  they hold a few bytes whatever the content; output is appended to the caller's string,
//          at most twice the input plus a few bytes at a call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace holdfast::smtp {

// What was seen in the content as it arrived, before any normalisation.
struct ContentFacts {
  uint64_t bytes = 0;               // Of content delivered, after un-stuffing and normalisation.
  uint64_t longest_line_bytes = 0;  // Without its line end.
  bool bare_cr = false;             // A CR that no LF follows.
  bool bare_lf = false;             // An LF that no CR precedes.
  bool nul = false;
  bool eight_bit = false;
  bool ends_with_crlf = false;  // As delivered; empty content doesn't.

  bool operator==(const ContentFacts&) const = default;
};

enum class BareLineEnds {
  kKeep,       // Deliver them as they are; the caller refuses the message by the facts.
  kNormalise,  // Deliver each as CRLF. They still end nothing and begin no dotted line.
};

// Looks at content and appends it to the caller's string. BDAT payload goes through it directly,
// DATA through DataDecoder.
class ContentScanner {
 public:
  explicit ContentScanner(BareLineEnds bare = BareLineEnds::kKeep) : bare_(bare) {}

  // `out` may be null: the content is inspected and dropped.
  void Feed(std::string_view bytes, std::string* out);
  // The content is complete: a CR held back is now known to be bare. Idempotent.
  void Finish(std::string* out);

  const ContentFacts& facts() const { return facts_; }

 private:
  void Inspect(std::string_view bytes);
  void Normalise(std::string_view bytes, std::string* out);
  void NormaliseText(std::string_view text, std::string* out);
  void Deliver(std::string_view bytes, std::string* out);
  void CountText(uint64_t bytes);

  const BareLineEnds bare_;
  ContentFacts facts_;
  uint64_t line_bytes_ = 0;
  bool carriage_return_ = false;  // The last byte was a CR: bare or not, the next one says.
  char last_delivered_ = 0;
};

// Decodes the bytes behind 354. Feed() stops behind CRLF.CRLF; what follows is the next command.
class DataDecoder {
 public:
  explicit DataDecoder(BareLineEnds bare = BareLineEnds::kKeep) : scanner_(bare) {}

  // Returns how many bytes were used: all of them until done().
  size_t Feed(std::string_view bytes, std::string* out);
  bool done() const { return state_ == State::kDone; }
  const ContentFacts& facts() const { return scanner_.facts(); }

 private:
  // What the bytes so far end with, which is all that framing has to remember.
  enum class State { kLineStart, kDot, kDotCr, kText, kTextCr, kDone };

  size_t FeedText(std::string_view bytes, std::string* out);

  ContentScanner scanner_;
  State state_ = State::kLineStart;  // The CRLF of the DATA command counts as the first line end.
};

// Counts down the payload of one BDAT command.
class ChunkCounter {
 public:
  void Begin(uint64_t bytes) { left_ = bytes; }
  // How many of `available` bytes are payload; they count as taken.
  size_t Take(size_t available) {
    const size_t taken = available < left_ ? available : static_cast<size_t>(left_);
    left_ -= taken;
    return taken;
  }
  uint64_t left_bytes() const { return left_; }
  bool done() const { return left_ == 0; }

 private:
  uint64_t left_ = 0;
};

// Encodes content for DATA: doubles a dot that begins a line, turns a bare CR or LF into CRLF.
//
//   encoder.Encode(chunk, out);   // for each chunk of the content
//   encoder.Finish(out);          // completes the last line
//   ... send `out`; the caller's fence stands here ...; send kFinalDot
class DataEncoder {
 public:
  // CRLF.CRLF less its first CRLF, which Finish() has put at the end of the text.
  static constexpr std::string_view kFinalDot = ".\r\n";

  void Encode(std::string_view bytes, std::string& out);
  // Ends an unfinished last line. Nothing may be encoded after it.
  void Finish(std::string& out);

 private:
  void EncodeText(std::string_view text, std::string& out);

  bool line_start_ = true;
  bool carriage_return_ = false;  // A CR is held back until the next byte is known.
};

}  // namespace holdfast::smtp
