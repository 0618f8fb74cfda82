#include "shrink.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <opencv2/core/hal/intrin.hpp>
#include <opencv2/imgproc.hpp>
#include <vector>

namespace {

constexpr double kNothing = 1e-3;  // a part of a pixel that does not count

// A pixel of the photograph, as far as it lies in one of the new ones.
struct Part {
  int from;
  int to;
  float weight;
};

// In the order of both.
std::vector<Part> Parts(int from, int to) {
  const double step = static_cast<double>(from) / to;
  std::vector<Part> parts;
  for (int i = 0; i < to; ++i) {
    const double start = i * step, end = start + step, whole = std::min(step, from - start);
    const int last = std::min(static_cast<int>(std::floor(end)), from - 1);
    const int first = std::min(static_cast<int>(std::ceil(start)), last);
    if (first - start > kNothing) parts.push_back({first - 1, i, static_cast<float>((first - start) / whole)});
    for (int each = first; each < last; ++each) parts.push_back({each, i, static_cast<float>(1 / whole)});
    if (end - last > kNothing) {
      parts.push_back({last, i, static_cast<float>(std::min({end - last, 1.0, whole}) / whole)});
    }
  }
  return parts;
}

// Four numbers for each new pixel of a row, of which the last means nothing. `row` can be read a byte beyond its end.
void Across(const std::vector<Part>& columns, const uchar* row, float* sums) {
  int to = 0;
  cv::v_float32x4 sum = cv::v_setzero_f32();
  for (const Part& part : columns) {
    if (part.to != to) {
      cv::v_store(sums + 4 * to, sum);
      sum = cv::v_setzero_f32();
      to = part.to;
    }
    const cv::v_float32x4 pixel = cv::v_cvt_f32(cv::v_reinterpret_as_s32(cv::v_load_expand_q(row + 3 * part.from)));
    sum = sum + pixel * cv::v_setall_f32(part.weight);
  }
  cv::v_store(sums + 4 * to, sum);
}

}  // namespace

cv::Mat Shrunk(const cv::Mat& photograph, cv::Size size) {
  cv::Mat shrunk(size, CV_8UC3);
  if (photograph.cols % size.width == 0 && photograph.rows % size.height == 0) {  // which OpenCV does in no time
    cv::resize(photograph, shrunk, size, 0, 0, cv::INTER_AREA);
    return shrunk;
  }
  const std::vector<Part> columns = Parts(photograph.cols, size.width);
  std::vector<uchar> row(3 * static_cast<size_t>(photograph.cols) + 1);
  const size_t length = 4 * static_cast<size_t>(size.width);
  std::vector<float> across(length), sums(length);
  const std::vector<Part> rows = Parts(photograph.rows, size.height);
  int read = -1;
  for (size_t k = 0; k < rows.size(); ++k) {
    const Part& part = rows[k];
    if (part.from != read) {
      std::memcpy(row.data(), photograph.ptr(part.from), row.size() - 1);
      Across(columns, row.data(), across.data());
      read = part.from;
    }
    for (size_t i = 0; i < length; ++i) sums[i] += part.weight * across[i];
    if (k + 1 < rows.size() && rows[k + 1].to == part.to) continue;
    uchar* to = shrunk.ptr(part.to);
    for (int x = 0; x < size.width; ++x) {
      for (int c = 0; c < 3; ++c) to[3 * x + c] = cv::saturate_cast<uchar>(sums[4 * x + c]);
    }
    std::fill(sums.begin(), sums.end(), 0.0f);
  }
  return shrunk;
}
