#ifndef ANOMALY_INFER_NEAREST_H_
#define ANOMALY_INFER_NEAREST_H_

#include <opencv2/core.hpp>

// A mask, CV_8U, in another size: each pixel is the one that lies below its middle. The pixels are those of Python's
// OpenCV, whatever version is here: older ones choose the one before where a middle lies between two.
cv::Mat Nearest(const cv::Mat& mask, cv::Size size);

#endif  // ANOMALY_INFER_NEAREST_H_
