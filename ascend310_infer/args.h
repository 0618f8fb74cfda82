#ifndef ANOMALY_INFER_ARGS_H_
#define ANOMALY_INFER_ARGS_H_

#include <filesystem>
#include <string>

struct Args {
  std::filesystem::path model;
  std::filesystem::path input;
  std::filesystem::path output;
  std::filesystem::path roi;
  std::string device;  // "ascend", "gpu" or "cpu"
  int device_id = 0;
  bool preprocess = true;
  int warmup = 10;
  bool help = false;
};

extern const char kUsage[];

// Throws UsageError.
Args ParseArgs(int argc, char** argv);

#endif  // ANOMALY_INFER_ARGS_H_
