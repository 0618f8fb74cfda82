#ifndef ANOMALY_INFER_EXIF_H_
#define ANOMALY_INFER_EXIF_H_

#include <cstddef>
#include <opencv2/core.hpp>

// Which way up a photograph is, from 1 to 8 as EXIF counts; 0 where nothing says so. `data`: EXIF, with or without the
// name before it.
int OrientationOf(const unsigned char* data, size_t size);

// Turns a photograph of this orientation the right way up.
void Turn(int orientation, cv::Mat* image);

#endif  // ANOMALY_INFER_EXIF_H_
