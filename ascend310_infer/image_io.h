#ifndef ANOMALY_INFER_IMAGE_IO_H_
#define ANOMALY_INFER_IMAGE_IO_H_

#include <array>
#include <filesystem>
#include <opencv2/core.hpp>
#include <string>
#include <vector>

#include "model_info.h"

// Endings of photographs and masks.
constexpr std::array<const char*, 7> kSuffixes = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"};

struct Input {
  std::filesystem::path path;
  std::filesystem::path name;  // of the photograph, relative to the input folder; results are named after it
};

// The file itself, or all photographs (or .bin files) in the folder and those below it, sorted. `output` is not
// searched: it may lie inside the folder and hold heat maps of an earlier run. Throws Error if there is none.
std::vector<Input> FindInputs(const std::filesystem::path& input, const std::filesystem::path& output,
                              bool photographs);

// A photograph as RGB, in its own size: what anomaly/data/images.py does. Throws Error.
cv::Mat ReadPhotograph(const std::filesystem::path& path);

// A mask, CV_8U: 0 where it is black; in a lossy format, where black is not kept exactly, the lower half. Throws Error.
cv::Mat ReadMask(const std::filesystem::path& path);

// What preprocess.py has made of a photograph for the model. Throws Error.
cv::Mat ReadBin(const std::filesystem::path& path, Size size);

#endif  // ANOMALY_INFER_IMAGE_IO_H_
