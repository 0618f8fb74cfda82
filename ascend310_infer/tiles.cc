#include "tiles.h"

#include <algorithm>
#include <cmath>

std::vector<int> Tiles::Starts(int length, int side) const {
  const int step = std::max(1, static_cast<int>(std::nearbyint(side * (1 - overlap_))));
  const int64_t room = std::max(0, length - side);
  const int64_t count = (room + step - 1) / step + 1;
  std::vector<int> starts;
  // Spread evenly, so that the last one ends with the photograph.
  for (int64_t i = 0; i < count; ++i) starts.push_back(static_cast<int>(room * i / std::max<int64_t>(1, count - 1)));
  return starts;
}

std::vector<cv::Point> Tiles::Windows(cv::Size photograph) const {
  std::vector<cv::Point> corners;
  for (int top : Starts(photograph.height, window_.height)) {
    for (int left : Starts(photograph.width, window_.width)) corners.emplace_back(left, top);
  }
  return corners;
}

cv::Mat Tiles::Cut(const cv::Mat& picture, cv::Point corner) const {
  const int height = std::min(window_.height, picture.rows - corner.y);
  const int width = std::min(window_.width, picture.cols - corner.x);
  cv::Mat part;
  cv::copyMakeBorder(picture(cv::Rect(corner.x, corner.y, width, height)), part, 0, window_.height - height, 0,
                     window_.width - width, cv::BORDER_REPLICATE | cv::BORDER_ISOLATED);
  return part;
}

std::vector<double> Tiles::Ramp(int side) const {
  std::vector<double> weights;
  for (int i = 0; i < side; ++i) {
    const double place = i + 0.5;
    weights.push_back(std::min(1.0, std::min(place, side - place) / std::max(1.0, side * overlap_)));
  }
  return weights;
}

std::vector<double> Tiles::Sums(int length, int side) const {
  const std::vector<double> ramp = Ramp(side);
  std::vector<double> sums(length, 0.0);
  for (int start : Starts(length, side)) {
    for (int i = 0; i < side && start + i < length; ++i) sums[start + i] += ramp[i];
  }
  return sums;
}

JoinedMap::JoinedMap(const Tiles& tiles, cv::Size photograph)
    : window_rows_(tiles.Ramp(tiles.window_.height)),
      window_columns_(tiles.Ramp(tiles.window_.width)),
      rows_(tiles.Sums(photograph.height, tiles.window_.height)),
      columns_(tiles.Sums(photograph.width, tiles.window_.width)),
      totals_(tiles.window_.height, photograph.width, CV_64F, cv::Scalar(0)),
      map_(photograph, CV_32F) {}

void JoinedMap::Add(const cv::Mat& map, cv::Point corner) {
  CompleteUpTo(corner.y);
  const int height = std::min(map.rows, map_.rows - corner.y);
  const int width = std::min(map.cols, map_.cols - corner.x);
  for (int y = 0; y < height; ++y) {
    const float* values = map.ptr<float>(y);
    double* totals = totals_.ptr<double>((corner.y + y) % totals_.rows) + corner.x;
    for (int x = 0; x < width; ++x) totals[x] += values[x] * (window_rows_[y] * window_columns_[x]);
  }
}

void JoinedMap::CompleteUpTo(int row) {
  for (; complete_ < row; ++complete_) {
    double* totals = totals_.ptr<double>(complete_ % totals_.rows);
    float* values = map_.ptr<float>(complete_);
    for (int x = 0; x < map_.cols; ++x) {
      values[x] = static_cast<float>(totals[x] / (rows_[complete_] * columns_[x]));
      totals[x] = 0;
    }
  }
}

cv::Mat JoinedMap::Finish() {
  CompleteUpTo(map_.rows);
  return map_;
}
