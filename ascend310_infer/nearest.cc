#include "nearest.h"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace {

// For each place of `to`, the one of `from` that lies below its middle, counted in parts of 1 / 65536.
std::vector<int> Sources(int64_t from, int64_t to) {
  const int64_t step = ((from << 16) + to / 2) / to;
  const int64_t first = step / 2 - from % 2;
  std::vector<int> sources;
  for (int64_t i = 0; i < to; ++i) {
    sources.push_back(static_cast<int>(std::clamp<int64_t>((first + i * step) >> 16, 0, from - 1)));
  }
  return sources;
}

}  // namespace

cv::Mat Nearest(const cv::Mat& mask, cv::Size size) {
  const std::vector<int> rows = Sources(mask.rows, size.height);
  const std::vector<int> columns = Sources(mask.cols, size.width);
  cv::Mat resized(size, CV_8U);
  for (int y = 0; y < size.height; ++y) {
    const uchar* from = mask.ptr<uchar>(rows[y]);
    uchar* to = resized.ptr<uchar>(y);
    for (int x = 0; x < size.width; ++x) to[x] = from[columns[x]];
  }
  return resized;
}
