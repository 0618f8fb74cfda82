#include "opening.h"

#include <sched.h>

#include <algorithm>
#include <cstdint>
#include <thread>
#include <vector>

#include "error.h"

namespace fs = std::filesystem;

namespace {

// The names of precisions here, and in a .json.
std::string LongName(const std::string& precision) {
  return precision == "f32" ? "float32" : precision == "bf16" ? "bfloat16" : precision;
}

void ChoosePrecision(const fs::path& model, const Settings& settings, ModelInfo* info) {
  const std::string& wanted = settings.precision;
  if (wanted == "f16") {
    if (Complete(settings, model).device != "ascend" && settings.engine != "tensorrt") {
      throw Error("--precision f16: " + model.string() + " computes in float16 on an Ascend and in TensorRT only");
    }
    info->precision = "float16";
    return;
  }
  if (wanted.empty() || LongName(wanted) == info->precision) return;
  const std::string option = "--precision " + wanted + ": " + model.string() + " ";
  if (info->precision == "int8") throw Error(option + "has the numbers of int8 alone; leave the option out");
  if (wanted != "f32") {
    throw Error(option + "was exported in " + info->precision + "; train and export with --precision " +
                LongName(wanted));
  }
  info->precision = "float32";
}

void ChooseBatch(const fs::path& model, int wanted, ModelInfo* info) {
  if (wanted == 0 || wanted == info->batch_size) return;
  if (!info->any_batch) {
    const bool onnx = model.extension() == ".onnx";  // conversion to .mindir makes of any number one
    throw Error("--batch " + std::to_string(wanted) + ": " + model.string() + " takes " +
                std::to_string(info->batch_size) + " at once; export " +
                (onnx ? "with --batch_size dynamic, or of that number"
                      : "the .onnx with --batch_size " + std::to_string(wanted) + " and convert that"));
  }
  info->batch_size = wanted;
}

ModelInfo ReadChosen(const fs::path& model, const Settings& settings) {
  ModelInfo info = ReadModelInfo(model);
  ChoosePrecision(model, settings, &info);
  ChooseBatch(model, settings.batch, &info);
  return info;
}

// Runs the picture of the proof through the engine.
void Prove(const ModelInfo& info, Engine* engine) {
  const size_t bytes = info.proof->picture.total() * 3;
  std::vector<uint8_t> pixels;
  for (int i = 0; i < info.batch_size; ++i) {
    pixels.insert(pixels.end(), info.proof->picture.data, info.proof->picture.data + bytes);
  }
  std::vector<float> maps, scores;
  engine->Run(pixels.data(), &maps, &scores);
  const std::string& precision = info.precision == "float16" ? info.precision : info.exported_precision;
  info.proof->Require(maps.data(), info.map.width, scores.at(0), precision);
}

}  // namespace

int Cores() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

void RequireKnown(const Settings& settings) {
  const auto one_of = [](const std::string& value, std::initializer_list<const char*> known) {
    return value.empty() || std::find(known.begin(), known.end(), value) != known.end();
  };
  if (!one_of(settings.engine, {"auto", "openvino", "onnxruntime", "tensorrt", "lite"})) {
    throw Error("there is no engine '" + settings.engine + "'");
  }
  if (!one_of(settings.device, {"cpu", "gpu", "ascend"})) throw Error("there is no device '" + settings.device + "'");
  if (!one_of(settings.precision, {"f32", "f16", "bf16", "int8"})) {
    throw Error("there is no precision '" + settings.precision + "'");
  }
  if (settings.device_id < 0) throw Error("device_id is a whole number from 0");
  for (const int number : {settings.threads, settings.at_once}) {
    if (number < 0 || number > kMostAtOnce) {
      throw Error("threads and at_once are whole numbers from 0 to " + std::to_string(kMostAtOnce) + ", not " +
                  std::to_string(number));
    }
  }
}

Settings Complete(Settings settings, const fs::path& model) {
  if (settings.engine == "auto") settings.engine.clear();
  if (settings.device.empty() && settings.engine == "tensorrt") settings.device = "gpu";
  if (settings.device.empty()) settings.device = model.extension() == ".onnx" ? "cpu" : "ascend";
  if (settings.threads == 0) settings.threads = Cores();
  if (settings.at_once == 0) settings.at_once = 1;
  return settings;
}

ModelInfo ReadInfo(const fs::path& model, const Settings& settings) {
  ModelInfo info = ReadChosen(model, settings);
  const fs::path folder = info.roi.Folder();
  if (!settings.roi.empty()) {
    if (folder.empty()) {
      throw Error(model.string() + ": has no region for each photograph in a folder; leave --roi out");
    }
    if (!fs::is_directory(settings.roi)) throw Error(settings.roi.string() + ": no such folder");
    info.roi.UseFolder(settings.roi);
  } else if (!folder.empty() && !fs::is_directory(folder)) {
    throw Error(model.string() + ": has a region for each photograph, in " + folder.string() +
                ", which is not here; --roi names the folder");
  }
  return info;
}

ModelInfo ReadInfoForPrepared(const fs::path& model, const Settings& settings) {
  ModelInfo info = ReadChosen(model, settings);
  if (info.overlap) {
    throw Error(model.string() + ": a model of tiles takes photographs as they are: give them with --preprocess y");
  }
  if (!settings.roi.empty()) throw Error("--roi: what preprocess.py has written is painted already; leave it out");
  return info;
}

std::unique_ptr<Engine> OpenEngine(const fs::path& model, const ModelInfo& info, const Settings& settings) {
  std::unique_ptr<Engine> engine = MakeEngine(settings, model);
  try {
    engine->Load(model, info);
    if (settings.self_check && info.proof) Prove(info, engine.get());
  } catch (const Error& error) {
    throw Error(model.string() + ": " + error.what());
  }
  return engine;
}
