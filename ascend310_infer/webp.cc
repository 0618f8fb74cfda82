#include "webp.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "exif.h"

namespace {

constexpr size_t kHead = 12, kNameAndSize = 8;    // of the file, and of each chunk
constexpr unsigned char kMoves = 2, kHasExif = 8;  // bits of what a file has

bool Has(const std::vector<unsigned char>& data, unsigned char bit) {
  return data.size() > 20 && std::memcmp(data.data() + 8, "WEBPVP8X", 8) == 0 && (data[20] & bit) != 0;
}

}  // namespace

bool Moves(const std::vector<unsigned char>& data) { return Has(data, kMoves); }

int OrientationOfWebp(const std::vector<unsigned char>& data) {
  if (!Has(data, kHasExif)) return 0;
  size_t at = kHead;
  while (data.size() - at >= kNameAndSize) {
    const unsigned char* chunk = data.data() + at;
    const size_t size = size_t{chunk[4]} | size_t{chunk[5]} << 8 | size_t{chunk[6]} << 16 | size_t{chunk[7]} << 24;
    at += kNameAndSize;
    if (size > data.size() - at) break;
    if (std::memcmp(chunk, "EXIF", 4) == 0) return std::max(OrientationOf(data.data() + at, size), 1);
    at += size;
    if (size % 2 == 1 && at < data.size()) ++at;  // chunks have an even length
  }
  return 1;
}
