#include "overlay.h"

#include <algorithm>
#include <opencv2/imgproc.hpp>

namespace {

const cv::Scalar kRed(220, 30, 30);

int LineWidth(const cv::Mat& picture) { return std::max(1, std::min(picture.rows, picture.cols) / 200); }

// 0 to 1, 0.5 at the threshold; where there is none, this map's own range.
class Levels {
 public:
  Levels(const cv::Mat& map, const Scale& scale) : scale_(scale) {
    double high = 0;
    if (!scale.threshold) cv::minMaxLoc(map, &low_, &high);
    range_ = std::max(high - low_, 1e-12);
  }

  double Of(float value) const { return scale_.threshold ? scale_.Normalise(value) : (value - low_) / range_; }

 private:
  const Scale& scale_;
  double low_ = 0;
  double range_ = 1;
};

// RGB for each of 256 levels.
cv::Mat Colours() {
  cv::Mat grey(1, 256, CV_8U), colours;
  for (int i = 0; i < 256; ++i) grey.at<uchar>(i) = static_cast<uchar>(i);
  cv::applyColorMap(grey, colours, cv::COLORMAP_JET);
  cv::cvtColor(colours, colours, cv::COLOR_BGR2RGB);
  return colours;
}

}  // namespace

cv::Mat Overlay(const cv::Mat& image, const cv::Mat& map, const Scale& scale) {
  static const cv::Mat colours = Colours();
  const Levels levels(map, scale);
  cv::Mat blended = image.clone();
  for (int y = 0; y < image.rows; ++y) {
    const float* values = map.ptr<float>(y);
    cv::Vec3b* pixels = blended.ptr<cv::Vec3b>(y);
    for (int x = 0; x < image.cols; ++x) {
      const double level = levels.Of(values[x]);
      const double strength = 0.6 * std::clamp((level - 0.3) / 0.2, 0.0, 1.0);
      if (strength == 0) continue;
      const auto& colour = colours.at<cv::Vec3b>(static_cast<uchar>(std::clamp(level * 255, 0.0, 255.0)));
      for (int c = 0; c < 3; ++c) {
        pixels[x][c] = cv::saturate_cast<uchar>(pixels[x][c] * (1 - strength) + colour[c] * strength);
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

cv::Mat WithCaption(const cv::Mat& picture, const std::string& text, const cv::Scalar& colour) {
  // As anomaly/show/lettering.py has it: larger in large pictures.
  const double size = 0.45 * std::max(1.0, std::max(picture.rows, picture.cols) / 500.0);
  const int thickness = std::max(1, cvRound(1.6 * size)), line = cvRound(40 * size);
  const int width = cv::getTextSize(text, cv::FONT_HERSHEY_SIMPLEX, size, thickness, nullptr).width;
  cv::Mat whole;
  cv::copyMakeBorder(picture, whole, 0, line, 0, std::max(0, width - picture.cols), cv::BORDER_CONSTANT,
                     cv::Scalar::all(255));
  const cv::Point place(0, picture.rows + cvRound(0.75 * line));
  cv::putText(whole, text, place, cv::FONT_HERSHEY_SIMPLEX, size, colour, thickness, cv::LINE_AA);
  return whole;
}
