#ifndef ANOMALY_INFER_SHRINK_H_
#define ANOMALY_INFER_SHRINK_H_

#include <opencv2/core.hpp>

// An RGB photograph in a size that is in no direction larger: each pixel is the mean of the area that it covers. The
// pixels are those of OpenCV's INTER_AREA, in less time.
cv::Mat Shrunk(const cv::Mat& photograph, cv::Size size);

#endif  // ANOMALY_INFER_SHRINK_H_
