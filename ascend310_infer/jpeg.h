#ifndef ANOMALY_INFER_JPEG_H_
#define ANOMALY_INFER_JPEG_H_

#include <opencv2/core.hpp>
#include <vector>

bool IsJpeg(const std::vector<unsigned char>& data);

// The pixels as RGB, turned as the camera says. Decoders fill in what is missing or broken; such a picture would be
// called anomalous, so wherever this one has had to, it throws Error with its reason. Empty: of four colours, which
// another decoder turns into RGB; that nothing is broken has been seen all the same.
cv::Mat DecodeJpeg(const std::vector<unsigned char>& data);

#endif  // ANOMALY_INFER_JPEG_H_
