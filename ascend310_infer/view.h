#ifndef ANOMALY_INFER_VIEW_H_
#define ANOMALY_INFER_VIEW_H_

#include <opencv2/core.hpp>

#include "model_info.h"

// The part of a photograph that a picture shows, in its pixels; it may reach beyond the photograph.
struct Frame {
  double top = 0;
  double left = 0;
  double height = 0;
  double width = 0;
};

// A photograph as it is looked at.
struct View {
  cv::Mat picture;  // RGB: what the model takes, or, for a model of tiles, all of the photograph
  cv::Mat seen;     // CV_8U, 0 where the picture does not count; empty: it counts everywhere
  Frame frame;
  cv::Size photograph;
};

// What anomaly/data/transform.py does with an RGB photograph: fitted, cropped, and painted outside of `region`, which
// is of the photograph's size, or empty.
View MakeView(const cv::Mat& photograph, const cv::Mat& region, const ModelInfo& info);

// Of a picture that is prepared already: all there is to know is itself.
View PlainView(const cv::Mat& picture);


#endif  // ANOMALY_INFER_VIEW_H_
