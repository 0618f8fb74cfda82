#ifndef ANOMALY_INFER_REGIONS_H_
#define ANOMALY_INFER_REGIONS_H_

#include <cstdint>
#include <opencv2/core.hpp>
#include <string>
#include <vector>

#include "model_info.h"
#include "view.h"

// Where a photograph is anomalous: a connected place of its map above the threshold.
struct Region {
  cv::Rect place;  // in the map
  cv::Rect box;    // this and what follows: in the photograph
  int64_t area = 0;
  double peak = 0;        // the largest value of the map
  double normalised = 0;  // the same on the scale on which the threshold is 0.5
  cv::Point at;           // of the peak
};

// What anomaly/measure/regions.py finds in a map, CV_32F, the region with the largest value first.
std::vector<Region> FindRegions(const cv::Mat& map, const Scale& scale, const Frame& frame, cv::Size photograph);

// Makes a map nowhere warmer outside of what is seen than in the coldest place inside, and marked nowhere.
void FloorMap(const cv::Mat& seen, const Scale& scale, cv::Mat* map);

// One line of JSON, a list.
std::string ToJson(const std::vector<Region>& regions);

#endif  // ANOMALY_INFER_REGIONS_H_
