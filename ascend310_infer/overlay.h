#ifndef ANOMALY_INFER_OVERLAY_H_
#define ANOMALY_INFER_OVERLAY_H_

#include <opencv2/core.hpp>
#include <string>
#include <vector>

#include "model_info.h"
#include "regions.h"

// The heat map over the picture where it is warm, with a red line around what is above the threshold: the overlay of
// anomaly/show/pictures.py. `image` is RGB and `map` float32, both of one size.
cv::Mat Overlay(const cv::Mat& image, const cv::Mat& map, const Scale& scale);

// A red line around the box of each region, on a picture of the map's size.
void DrawBoxes(const std::vector<Region>& regions, cv::Mat* picture);

// The picture with a line of text below it, and as wide as that needs.
cv::Mat WithCaption(const cv::Mat& picture, const std::string& text, const cv::Scalar& colour);

#endif  // ANOMALY_INFER_OVERLAY_H_
