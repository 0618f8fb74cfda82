#include "overlay.h"

#include <algorithm>
#include <opencv2/imgproc.hpp>

namespace {

const cv::Scalar kRed(220, 30, 30);

int LineWidth(const cv::Mat& picture) { return std::max(1, std::min(picture.rows, picture.cols) / 200); }

// 0 to 1, 0.5 at the threshold; where there is none, this map's own range.
cv::Mat Levels(const cv::Mat& map, const Scale& scale) {
  cv::Mat levels;
  map.convertTo(levels, CV_64F);
  if (!scale.threshold) {
    double low = 0;
    double high = 0;
    cv::minMaxLoc(levels, &low, &high);
    return (levels - low) / std::max(high - low, 1e-12);
  }
  for (double& level : cv::Mat_<double>(levels)) level = scale.Normalise(level);
  return levels;
}

cv::Mat Heat(const cv::Mat& levels) {
  cv::Mat grey(levels.size(), CV_8U);
  std::transform(levels.begin<double>(), levels.end<double>(), grey.begin<uchar>(),
                 [](double level) { return static_cast<uchar>(std::clamp(level * 255, 0.0, 255.0)); });
  cv::Mat colours;
  cv::applyColorMap(grey, colours, cv::COLORMAP_JET);
  cv::cvtColor(colours, colours, cv::COLOR_BGR2RGB);
  return colours;
}

}  // namespace

cv::Mat Overlay(const cv::Mat& image, const cv::Mat& map, const Scale& scale) {
  const cv::Mat levels = Levels(map, scale);
  const cv::Mat heat = Heat(levels);
  cv::Mat blended = image.clone();
  for (int y = 0; y < image.rows; ++y) {
    for (int x = 0; x < image.cols; ++x) {
      const double strength = 0.6 * std::clamp((levels.at<double>(y, x) - 0.3) / 0.2, 0.0, 1.0);
      auto& pixel = blended.at<cv::Vec3b>(y, x);
      const auto& colour = heat.at<cv::Vec3b>(y, x);
      for (int c = 0; c < 3; ++c) {
        pixel[c] = cv::saturate_cast<uchar>(pixel[c] * (1 - strength) + colour[c] * strength);
      }
    }
  }
  if (scale.threshold) {
    const cv::Mat above = map > *scale.threshold;
    std::vector<std::vector<cv::Point>> outlines;
    cv::findContours(above, outlines, cv::RETR_EXTERNAL, cv::CHAIN_APPROX_SIMPLE);
    cv::drawContours(blended, outlines, -1, kRed, LineWidth(blended));
  }
  return blended;
}

void DrawBoxes(const std::vector<Region>& regions, cv::Mat* picture) {
  const int width = LineWidth(*picture);
  const cv::Point gap(2 * width, 2 * width);  // so that the place itself and the line around it stay to be seen
  for (const Region& region : regions) {
    cv::rectangle(*picture, region.place.tl() - gap, region.place.br() + gap, kRed, width);
  }
}
