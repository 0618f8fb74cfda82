#ifndef ANOMALY_INFER_SETTINGS_H_
#define ANOMALY_INFER_SETTINGS_H_

#include <filesystem>
#include <string>

constexpr int kMostAtOnce = 1024;  // threads, and photographs in work; beyond that a system itself may fail

// How a model is to be run, where it leaves a choice.
struct Settings {
  std::string engine;         // "openvino", "onnxruntime", "tensorrt" or "lite"; empty: the usual one for such a file
  std::string device;         // "ascend", "gpu" or "cpu"; empty: the usual one for such a file
  int device_id = 0;          // which Ascend or GPU
  std::string precision;      // "f32", "bf16", "int8", or on an Ascend and in TensorRT "f16"; empty: as the model's .json says
  int threads = 0;            // 0: as many as there are cores for this process
  int at_once = 0;            // photographs in work at the same time; 0: chosen by their number
  int batch = 0;              // pictures that the model takes together; 0: as the model's .json says
  bool self_check = true;     // whether the model has to prove itself
  std::filesystem::path engine_cache;  // where TensorRT keeps what it makes; empty: beside the model
  std::filesystem::path roi;  // the folder of masks, for models that have one for each photograph; empty: their own
};

// The cores that this process may run on.
int Cores();

#endif  // ANOMALY_INFER_SETTINGS_H_
