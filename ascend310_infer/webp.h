#ifndef ANOMALY_INFER_WEBP_H_
#define ANOMALY_INFER_WEBP_H_

#include <vector>

// Whether a file is a WebP with several pictures.
bool Moves(const std::vector<unsigned char>& data);

// Which way up a WebP is (exif.h); 0 of what has no EXIF, or is no WebP.
int OrientationOfWebp(const std::vector<unsigned char>& data);

#endif  // ANOMALY_INFER_WEBP_H_
