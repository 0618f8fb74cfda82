#ifndef ANOMALY_INFER_PIXELS_H_
#define ANOMALY_INFER_PIXELS_H_

#include <cstddef>

constexpr size_t kMostPixels = size_t{1} << 30;  // of a photograph, as OpenCV has it

#endif  // ANOMALY_INFER_PIXELS_H_
