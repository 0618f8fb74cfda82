#include "engine.h"

#include <mutex>

#include "error.h"

#ifdef WITH_OPENVINO
std::unique_ptr<Engine> MakeOpenVinoEngine(const Settings& settings);
#endif
#ifdef WITH_LITE
std::unique_ptr<Engine> MakeLiteEngine(const std::string& device, int device_id);

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

}  // namespace
#endif

std::unique_ptr<Engine> MakeEngine([[maybe_unused]] const Settings& settings, const std::filesystem::path& model) {
  if (model.extension() == ".onnx") {
    if (settings.device == "ascend") {
      throw Error(model.string() + ": .onnx runs on cpu and gpu; convert it to .mindir for --device ascend");
    }
#ifdef WITH_OPENVINO
    return MakeOpenVinoEngine(settings);
#else
    throw Error(model.string() + ": .onnx needs OpenVINO, which is not in this build; install it and build again");
#endif
  }
#ifdef WITH_LITE
  return std::make_unique<InTurn>(MakeLiteEngine(settings.device, settings.device_id));
#else
  throw Error(model.string() + ": .mindir needs MindSpore Lite, which is not in this build; build with LITE_HOME");
#endif
}

std::string ShapeText(const std::vector<int64_t>& shape) {
  std::string text;
  for (int64_t side : shape) text += (text.empty() ? "" : "x") + (side < 0 ? "?" : std::to_string(side));
  return text.empty() ? "a single number" : text;
}

Places FindOutputs(const std::vector<std::vector<int64_t>>& shapes, const ModelInfo& info) {
  const int64_t batch = info.batch_size;
  const std::vector<int64_t> map = {batch, info.map.height, info.map.width};
  std::vector<size_t> maps, scores;
  std::string found;
  for (size_t i = 0; i < shapes.size(); ++i) {
    found += (i == 0 ? "" : " and ") + ShapeText(shapes[i]);
    if (shapes[i] == map) maps.push_back(i);
    if (shapes[i] == std::vector<int64_t>{batch} || shapes[i] == std::vector<int64_t>{batch, 1}) scores.push_back(i);
  }
  if (maps.size() == 1 && (scores.size() == 1 || scores.size() == 2) && maps.size() + scores.size() == shapes.size()) {
    return {maps[0], scores[0]};
  }
  throw Error("gives " + found + " instead of a map " + ShapeText(map) + " and a score " + ShapeText({batch}));
}
