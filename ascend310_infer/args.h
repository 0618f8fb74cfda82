#ifndef ANOMALY_INFER_ARGS_H_
#define ANOMALY_INFER_ARGS_H_

#include <filesystem>

#include "settings.h"

struct Args {
  std::filesystem::path model;
  std::filesystem::path input;
  std::filesystem::path output;  // empty: nothing is written
  Settings settings;
  bool preprocess = true;
  bool json = false;
  bool asks_for_proof = false;  // whether --self_check y was given
  int warmup = 10;
  bool help = false;
};

extern const char kUsage[];

// Throws UsageError.
Args ParseArgs(int argc, char** argv);

#endif  // ANOMALY_INFER_ARGS_H_
