#ifndef ANOMALY_INFER_LITE_CONVERTER_H_
#define ANOMALY_INFER_LITE_CONVERTER_H_

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

struct Conversion {
  std::filesystem::path model;   // .onnx
  std::filesystem::path config;  // what converter_lite takes as --configFile
  bool for_ascend = false;       // else for a CPU
  std::map<std::string, std::vector<int64_t>> shapes;  // of inputs whose shape is not in the model
};

// Writes `target`, a path without its ending, which becomes .mindir. Throws Error.
void ConvertWithLite(const Conversion& conversion, const std::filesystem::path& target);

#endif  // ANOMALY_INFER_LITE_CONVERTER_H_
