#include "exif.h"

#include <cstdint>
#include <cstring>

namespace {

constexpr unsigned char kName[] = {'E', 'x', 'i', 'f', 0, 0};
constexpr uint32_t kOrientation = 0x0112;

}  // namespace

int OrientationOf(const unsigned char* data, size_t size) {
  const size_t name = size >= sizeof(kName) && std::memcmp(data, kName, sizeof(kName)) == 0 ? sizeof(kName) : 0;
  const unsigned char* tiff = data + name;
  const size_t length = size - name;
  if (length < 8) return 0;
  const bool little = tiff[0] == 'I';
  const auto number = [&](size_t at, size_t bytes) {
    uint32_t value = 0;
    for (size_t i = 0; i < bytes && at + i < length; ++i) {
      value |= uint32_t{tiff[at + i]} << 8 * (little ? i : bytes - 1 - i);
    }
    return value;
  };
  const size_t table = number(4, 4);
  const size_t entries = table + 2 <= length ? number(table, 2) : 0;
  for (size_t i = 0; i < entries && table + 2 + 12 * (i + 1) <= length; ++i) {
    const size_t entry = table + 2 + 12 * i;
    if (number(entry, 2) == kOrientation) return static_cast<int>(number(entry + 8, 2));
  }
  return 0;
}

void Turn(int orientation, cv::Mat* image) {
  if (orientation >= 5 && orientation <= 8) cv::transpose(*image, *image);
  if (orientation == 2 || orientation == 6) cv::flip(*image, *image, 1);
  if (orientation == 3 || orientation == 7) cv::flip(*image, *image, -1);
  if (orientation == 4 || orientation == 8) cv::flip(*image, *image, 0);
}
