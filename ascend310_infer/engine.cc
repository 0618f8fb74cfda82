#include "engine.h"

#include <dlfcn.h>

#include <cstdlib>
#include <mutex>

#include "beside.h"
#include "error.h"

#ifdef WITH_OPENVINO
std::unique_ptr<Engine> MakeOpenVinoEngine(const Settings& settings);
#endif
std::unique_ptr<Engine> MakeOnnxRuntimeEngine(const Settings& settings);

namespace {

// An engine that can do one thing at a time; threads wait for one another.
class InTurn : public Engine {
 public:
  explicit InTurn(std::unique_ptr<Engine> engine) : engine_(std::move(engine)) {}

  void Load(const std::filesystem::path& model, const ModelInfo& info) override { engine_->Load(model, info); }

  void Run(const uint8_t* images, std::vector<float>* maps, std::vector<float>* scores) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    engine_->Run(images, maps, scores);
  }

  std::string Name() const override { return engine_->Name(); }

 private:
  std::unique_ptr<Engine> engine_;
  std::mutex mutex_;
};

// MindSpore Lite is large: it takes half a second to load, which judging with another engine need not wait for. So its
// engine is a library of its own.
std::unique_ptr<Engine> MakeLiteEngine(const Settings& settings, const std::filesystem::path& model) {
  std::string looked;
  const std::filesystem::path library = Beside(kLiteLibrary, &looked);
  if (library.empty()) {
    throw Error(model.string() + ": .mindir needs MindSpore Lite, but " + kLiteLibrary + " is " + looked +
                "; build with LITE_HOME, and keep it beside the program");
  }
  setenv("GLOG_v", "4", 0);  // Lite's own lines, up to seven for one error, stay out
  void* const make = Loaded(library, kLiteMaker);
  if (make == nullptr) throw Error(library.string() + ": cannot be loaded (" + OneLine(dlerror()) + ")");
  return std::unique_ptr<Engine>(reinterpret_cast<LiteMaker*>(make)(settings));
}

std::unique_ptr<Engine> MakeOnnxEngine(const Settings& settings, const std::filesystem::path& model) {
  if (settings.device == "ascend") {
    throw Error(model.string() + ": .onnx runs on cpu and gpu; convert it to .mindir for --device ascend");
  }
  if (settings.engine == "tensorrt" && settings.device != "gpu") {
    throw Error("--engine tensorrt: runs on NVIDIA's GPUs, not on --device " + settings.device);
  }
  if (settings.engine == "tensorrt" || settings.engine == "onnxruntime") return MakeOnnxRuntimeEngine(settings);
#ifdef WITH_OPENVINO
  return MakeOpenVinoEngine(settings);
#else
  if (settings.engine.empty()) return MakeOnnxRuntimeEngine(settings);
  throw Error("--engine openvino: is not in this build; install it and build again");
#endif
}

}  // namespace

std::unique_ptr<Engine> MakeEngine(const Settings& settings, const std::filesystem::path& model) {
  const bool onnx = model.extension() == ".onnx";
  if (!settings.engine.empty() && onnx == (settings.engine == "lite")) {
    throw Error("--engine " + settings.engine + ": does not run " + model.string() + "; " +
                (onnx ? "a .onnx is for openvino, onnxruntime and tensorrt" : "a .mindir is for lite"));
  }
  if (settings.device == "cpu" && settings.device_id != 0) {
    throw Error("--device_id " + std::to_string(settings.device_id) + ": is for gpu and ascend, not for --device cpu");
  }
  if (!settings.engine_cache.empty() && settings.engine != "tensorrt") {
    throw Error("--engine_cache " + settings.engine_cache.string() + ": is for --engine tensorrt");
  }
  if (onnx) return MakeOnnxEngine(settings, model);
  return std::make_unique<InTurn>(MakeLiteEngine(settings, model));
}
