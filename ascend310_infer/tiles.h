#ifndef ANOMALY_INFER_TILES_H_
#define ANOMALY_INFER_TILES_H_

#include <opencv2/core.hpp>
#include <vector>

#include "model_info.h"

// Covers photographs with windows of one size that overlap, as anomaly/data/tiles.py does.
class Tiles {
 public:
  Tiles(Size window, double overlap) : window_(window), overlap_(overlap) {}

  // The corners of the windows, row after row.
  std::vector<cv::Point> Windows(cv::Size photograph) const;

  // What a window shows; a picture that is smaller goes on as it is at its edge.
  cv::Mat Cut(const cv::Mat& picture, cv::Point corner) const;

 private:
  friend class JoinedMap;

  std::vector<int> Starts(int length, int side) const;

  // Weights along one side of a window: they rise over the overlap, and fall again.
  std::vector<double> Ramp(int side) const;

  // What the weights of all windows come to, along one side of a photograph.
  std::vector<double> Sums(int length, int side) const;

  Size window_;
  double overlap_;
};

// The map of a photograph, from those of its windows. Only rows that windows still to come may reach are in double.
class JoinedMap {
 public:
  JoinedMap(const Tiles& tiles, cv::Size photograph);

  // In the order of Tiles::Windows.
  void Add(const cv::Mat& map, cv::Point corner);

  // CV_32F, after the last one.
  cv::Mat Finish();

 private:
  // No window to come begins above this row.
  void CompleteUpTo(int row);

  std::vector<double> window_rows_, window_columns_;  // weights of a window
  std::vector<double> rows_, columns_;                // of all of them together
  cv::Mat totals_;                                    // CV_64F; row y of the photograph lies in row y % totals_.rows
  cv::Mat map_;
  int complete_ = 0;  // rows
};

#endif  // ANOMALY_INFER_TILES_H_
