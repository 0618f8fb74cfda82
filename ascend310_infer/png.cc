#include "png.h"

#include <cstdlib>
#include <cstring>
#include <memory>
#include <opencv2/core/hal/intrin.hpp>
#include <string>

#include <libdeflate.h>

#include "pixels.h"

namespace {

constexpr unsigned char kSignature[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
constexpr size_t kSpare = 8;               // bytes that are read together

uint32_t Number(const unsigned char* at) {
  return uint32_t{at[0]} << 24 | uint32_t{at[1]} << 16 | uint32_t{at[2]} << 8 | at[3];
}

struct Content {
  size_t height = 0;
  size_t width = 0;
  size_t channels = 0;
  std::vector<unsigned char> packed;
};

// False where it is another kind of PNG, or damaged.
bool ReadChunks(const std::vector<unsigned char>& data, Content* content) {
  if (data.size() < 8 || std::memcmp(data.data(), kSignature, 8) != 0) return false;
  for (size_t at = 8; at + 12 <= data.size();) {
    const size_t length = Number(&data[at]);
    if (length > data.size() - at - 12) return false;
    const unsigned char* body = &data[at + 8];
    if (libdeflate_crc32(0, &data[at + 4], length + 4) != Number(body + length)) return false;
    const std::string kind(reinterpret_cast<const char*>(&data[at + 4]), 4);
    at += length + 12;
    if (kind == "IHDR" && length == 13) {
      content->width = Number(body);
      content->height = Number(body + 4);
      content->channels = body[9] == 0 ? 1 : body[9] == 2 ? 3 : 0;
      const bool usual = body[8] == 8 && body[10] == 0 && body[11] == 0 && body[12] == 0 && content->channels > 0;
      const bool sized = content->width > 0 && content->height > 0 && content->width < kMostPixels / content->height;
      if (!usual || !sized) return false;
    } else if (kind == "IDAT") {
      content->packed.insert(content->packed.end(), body, body + length);
    } else if (kind == "IEND") {
      return content->channels > 0;
    } else if (kind == "tRNS" || kind == "eXIf") {  // to be turned, or in part not there
      return false;
    }
  }
  return false;
}

int Paeth(int left, int up, int corner) {
  const int to_left = std::abs(up - corner), to_up = std::abs(left - corner);
  const int to_corner = std::abs(left + up - 2 * corner);
  return to_left <= to_up && to_left <= to_corner ? left : to_up <= to_corner ? up : corner;
}

void AddNumber(size_t value, std::vector<unsigned char>* data) {
  for (int shift = 24; shift >= 0; shift -= 8) data->push_back(static_cast<unsigned char>(value >> shift));
}

void AddChunk(const char* kind, const std::vector<unsigned char>& body, std::vector<unsigned char>* data) {
  AddNumber(body.size(), data);
  const size_t start = data->size();
  data->insert(data->end(), kind, kind + 4);
  data->insert(data->end(), body.begin(), body.end());
  AddNumber(libdeflate_crc32(0, data->data() + start, data->size() - start), data);
}

// Each row as the difference to the pixel on the left, which is what can be packed well.
std::vector<unsigned char> Lines(const cv::Mat& picture) {
  const size_t row = 3 * static_cast<size_t>(picture.cols);
  std::vector<unsigned char> lines;
  lines.reserve((row + 1) * picture.rows);
  for (int y = 0; y < picture.rows; ++y) {
    const unsigned char* pixels = picture.ptr(y);
    lines.push_back(1);
    for (size_t i = 0; i < row; ++i) {
      lines.push_back(static_cast<unsigned char>(i < 3 ? pixels[i] : pixels[i] - pixels[i - 3]));
    }
  }
  return lines;
}

// What a byte was written as the difference to, by what is to the left, above, and above on the left.
template <int kFilter>
int Expected(int left, int up, int corner) {
  if constexpr (kFilter == 1) return left;
  if constexpr (kFilter == 3) return (left + up) / 2;
  if constexpr (kFilter == 4) return Paeth(left, up, corner);
  return 0;
}

cv::v_int16x8 Magnitude(const cv::v_int16x8& value) { return cv::v_reinterpret_as_s16(cv::v_abs(value)); }

// The same for all colours of a pixel at once.
template <int kFilter>
cv::v_int16x8 Expected(const cv::v_int16x8& left, const cv::v_int16x8& up, const cv::v_int16x8& corner) {
  if constexpr (kFilter == 3) return cv::v_shr<1>(left + up);
  if constexpr (kFilter == 4) {
    const cv::v_int16x8 across = up - corner, down = left - corner;
    const cv::v_int16x8 to_left = Magnitude(across), to_up = Magnitude(down), to_corner = Magnitude(across + down);
    const cv::v_int16x8 not_left = (to_left > to_up) | (to_left > to_corner);
    return cv::v_select(not_left, cv::v_select(to_up > to_corner, corner, up), left);
  }
  return left;
}

// The colours of the pixel that begins here, and what comes after them.
cv::v_int16x8 Pixel(const unsigned char* at) { return cv::v_reinterpret_as_s16(cv::v_load_expand(at)); }

// Writes the pixel that differs by what stands in the row from the expected one.
cv::v_int16x8 Restored(const unsigned char* row, const cv::v_int16x8& expected, unsigned char* to) {
  // Bytes, so that what is above 255 begins again at 0.
  const cv::v_uint8x16 sum = cv::v_add_wrap(cv::v_reinterpret_as_u8(Pixel(row)), cv::v_reinterpret_as_u8(expected));
  const cv::v_int16x8 pixel = cv::v_reinterpret_as_s16(sum);
  const unsigned colours = cv::v_reinterpret_as_u32(cv::v_pack_u(pixel, pixel)).get0();
  to[0] = static_cast<unsigned char>(colours);
  to[1] = static_cast<unsigned char>(colours >> 8);
  to[2] = static_cast<unsigned char>(colours >> 16);
  return pixel;
}

// What each pixel waits for is kept at hand. `row` and `up` can be read a little beyond their end; `to` may be `row` where
// there is one channel.
template <int kFilter, int kChannels>
void Restore(const unsigned char* up, const unsigned char* row, size_t size, unsigned char* to) {
  if constexpr (kFilter == 2) {
    for (size_t i = 0; i < size; ++i) to[i] = static_cast<unsigned char>(row[i] + up[i]);
  } else if constexpr (kChannels == 1) {
    int left = 0, corner = 0;
    for (size_t i = 0; i < size; ++i) {
      left = (row[i] + Expected<kFilter>(left, up[i], corner)) & 255;
      corner = up[i];
      to[i] = static_cast<unsigned char>(left);
    }
  } else {
    cv::v_int16x8 left = cv::v_setzero_s16(), corner = left;
    for (size_t i = 0; i < size; i += kChannels) {
      const cv::v_int16x8 above = Pixel(up + i);
      left = Restored(row + i, Expected<kFilter>(left, above, corner), to + i);
      corner = above;
    }
  }
}

// Two rows, both of filter 4, as most are. A pixel waits for the one to its left, and so most of the time is waited: in that
// time goes the second row, a pixel behind the first.
void RestoreBoth(const unsigned char* up, const unsigned char* rows[2], size_t size, unsigned char* to[2]) {
  cv::v_int16x8 left[2] = {cv::v_setzero_s16(), cv::v_setzero_s16()}, corner[2] = {left[0], left[0]};
  for (size_t i = 0; i < size; i += 3) {
    const cv::v_int16x8 above = Pixel(up + i), before = left[0];
    left[0] = Restored(rows[0] + i, Expected<4>(left[0], above, corner[0]), to[0] + i);
    corner[0] = above;
    if (i > 0) {
      left[1] = Restored(rows[1] + i - 3, Expected<4>(left[1], before, corner[1]), to[1] + i - 3);
      corner[1] = before;
    }
  }
  Restored(rows[1] + size - 3, Expected<4>(left[1], left[0], corner[1]), to[1] + size - 3);
}

// False for a filter that there is not.
template <int kChannels>
bool Restore(int filter, const unsigned char* up, const unsigned char* row, size_t size, unsigned char* to) {
  if (filter == 0) std::memmove(to, row, size);
  if (filter == 1) Restore<1, kChannels>(up, row, size, to);
  if (filter == 2) Restore<2, kChannels>(up, row, size, to);
  if (filter == 3) Restore<3, kChannels>(up, row, size, to);
  if (filter == 4) Restore<4, kChannels>(up, row, size, to);
  return filter <= 4;
}

}  // namespace

cv::Mat DecodePng(const std::vector<unsigned char>& data) {
  Content content;
  if (!ReadChunks(data, &content)) return {};
  const size_t row = content.width * content.channels, size = (row + 1) * content.height;
  if (size / 1100 > content.packed.size()) return {};  // more than can be packed in there
  const std::unique_ptr<unsigned char[]> lines(new unsigned char[size + kSpare]);
  const std::unique_ptr<libdeflate_decompressor, decltype(&libdeflate_free_decompressor)> unpacker(
      libdeflate_alloc_decompressor(), libdeflate_free_decompressor);
  size_t found = 0;
  if (libdeflate_zlib_decompress(unpacker.get(), content.packed.data(), content.packed.size(), lines.get(), size,
                                 &found) != LIBDEFLATE_SUCCESS ||
      found != size) {
    return {};
  }
  const int height = static_cast<int>(content.height), width = static_cast<int>(content.width);
  cv::Mat image = cv::Mat(height + static_cast<int>(kSpare), width, CV_8UC3).rowRange(0, height);
  const std::vector<unsigned char> none(row + kSpare, 0);
  const unsigned char* up = none.data();
  for (size_t y = 0; y < content.height; ++y) {
    unsigned char* line = lines.get() + y * (row + 1);
    unsigned char* pixels = image.ptr(static_cast<int>(y));
    const bool colours = content.channels == 3;
    if (colours && y + 1 < content.height && line[0] == 4 && line[row + 1] == 4) {
      const unsigned char* both[] = {line + 1, line + row + 2};
      unsigned char* there[] = {pixels, pixels + row};
      RestoreBoth(up, both, row, there);
      up = there[1];
      ++y;
      continue;
    }
    unsigned char* to = colours ? pixels : line + 1;
    const bool known = colours ? Restore<3>(line[0], up, line + 1, row, to) : Restore<1>(line[0], up, line + 1, row, to);
    if (!known) return {};
    up = to;
    for (size_t x = 0; x < row && !colours; ++x) pixels[3 * x] = pixels[3 * x + 1] = pixels[3 * x + 2] = to[x];
  }
  return image;
}

std::vector<unsigned char> EncodePng(const cv::Mat& picture) {
  const std::vector<unsigned char> lines = Lines(picture);
  const std::unique_ptr<libdeflate_compressor, decltype(&libdeflate_free_compressor)> packer(
      libdeflate_alloc_compressor(1), libdeflate_free_compressor);
  std::vector<unsigned char> packed(libdeflate_zlib_compress_bound(packer.get(), lines.size()));
  packed.resize(libdeflate_zlib_compress(packer.get(), lines.data(), lines.size(), packed.data(), packed.size()));
  std::vector<unsigned char> head, data(kSignature, kSignature + sizeof(kSignature));
  AddNumber(picture.cols, &head);
  AddNumber(picture.rows, &head);
  head.insert(head.end(), {8, 2, 0, 0, 0});  // bits, RGB, and the only way there is of packing
  AddChunk("IHDR", head, &data);
  AddChunk("IDAT", packed, &data);
  AddChunk("IEND", {}, &data);
  return data;
}
