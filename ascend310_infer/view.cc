#include "view.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>

#include "nearest.h"
#include "shrink.h"

namespace {

const cv::Scalar kPaint(124, 116, 104);  // the colour that is 0 to the network

// To the nearest whole number, and from the middle to the even one, as Python's round.
int Round(double value) { return static_cast<int>(std::nearbyint(value)); }

// Where in the resized picture the photograph is to be seen.
cv::Rect Inner(cv::Size photograph, const ModelInfo& info) {
  if (!info.keep_aspect) return {0, 0, info.resize.width, info.resize.height};
  const double factor = std::min(static_cast<double>(info.resize.height) / photograph.height,
                                 static_cast<double>(info.resize.width) / photograph.width);
  const int height = std::min(info.resize.height, std::max(1, Round(photograph.height * factor)));
  const int width = std::min(info.resize.width, std::max(1, Round(photograph.width * factor)));
  return {(info.resize.width - width) / 2, (info.resize.height - height) / 2, width, height};
}

cv::Rect Middle(const ModelInfo& info) {
  return {(info.resize.width - info.size.width) / 2, (info.resize.height - info.size.height) / 2, info.size.width,
          info.size.height};
}

// Fills what `inner` leaves free, and keeps the middle.
cv::Mat Placed(const cv::Mat& image, cv::Rect inner, const cv::Scalar& fill, const ModelInfo& info) {
  cv::Mat whole(info.resize.height, info.resize.width, image.type(), fill);
  image.copyTo(whole(inner));
  return whole(Middle(info)).clone();
}

cv::Mat Resized(const cv::Mat& photograph, cv::Size size) {
  if (photograph.size() == size) return photograph;
  const bool shrinks = size.height <= photograph.rows && size.width <= photograph.cols;
  if (shrinks) return Shrunk(photograph, size);
  cv::Mat resized;
  cv::resize(photograph, resized, size, 0, 0, cv::INTER_LINEAR);
  return resized;
}

Frame FrameOf(cv::Size photograph, cv::Rect inner, const ModelInfo& info) {
  if (info.keep_aspect) {
    const double down = static_cast<double>(photograph.height) / inner.height;
    const double across = static_cast<double>(photograph.width) / inner.width;
    return {-inner.y * down, -inner.x * across, info.resize.height * down, info.resize.width * across};
  }
  const auto at = [](int place, int full, int resized) {
    return std::nearbyint(static_cast<double>(place) * full / resized);
  };
  const cv::Rect middle = Middle(info);
  const double top = at(middle.y, photograph.height, info.resize.height);
  const double left = at(middle.x, photograph.width, info.resize.width);
  return {top, left, at(middle.y + middle.height, photograph.height, info.resize.height) - top,
          at(middle.x + middle.width, photograph.width, info.resize.width) - left};
}

}  // namespace

View PlainView(const cv::Mat& picture) {
  return {picture, cv::Mat(), {0, 0, static_cast<double>(picture.rows), static_cast<double>(picture.cols)},
          picture.size()};
}

View MakeView(const cv::Mat& photograph, const cv::Mat& region, const ModelInfo& info) {
  View view = PlainView(photograph);
  if (info.overlap) {
    view.seen = region;
  } else {
    const cv::Rect inner = Inner(photograph.size(), info);
    view.picture = Placed(Resized(photograph, inner.size()), inner, kPaint, info);
    view.frame = FrameOf(photograph.size(), inner, info);
    if (info.keep_aspect || !region.empty()) {
      const cv::Mat everything(inner.size(), CV_8U, cv::Scalar(1));
      const cv::Mat mask = region.empty() ? everything : Nearest(region, inner.size());
      view.seen = Placed(mask, inner, cv::Scalar(0), info);
    }
  }
  if (!view.seen.empty()) view.picture.setTo(kPaint, view.seen == 0);
  return view;
}
