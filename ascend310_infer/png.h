#ifndef ANOMALY_INFER_PNG_H_
#define ANOMALY_INFER_PNG_H_

#include <opencv2/core.hpp>
#include <vector>

// The pixels of what most PNGs are, of 8 bits, grey or in colour, as RGB and in less time than other readers take;
// empty for everything else, also for what is damaged: the other readers say what is wrong.
cv::Mat DecodePng(const std::vector<unsigned char>& data);

// A picture in RGB as the content of a PNG.
std::vector<unsigned char> EncodePng(const cv::Mat& picture);

#endif  // ANOMALY_INFER_PNG_H_
