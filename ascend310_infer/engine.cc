#include "engine.h"

#include "error.h"

#ifdef WITH_OPENVINO
std::unique_ptr<Engine> MakeOpenVinoEngine();
#endif
#ifdef WITH_LITE
std::unique_ptr<Engine> MakeLiteEngine(const std::string& device, int device_id);
#endif

std::unique_ptr<Engine> MakeEngine([[maybe_unused]] const std::string& device, [[maybe_unused]] int device_id,
                                   const std::filesystem::path& model) {
  if (model.extension() == ".onnx") {
    if (device != "cpu") {
      throw Error(model.string() + ": .onnx runs on the cpu only; convert it to .mindir for --device " + device);
    }
#ifdef WITH_OPENVINO
    return MakeOpenVinoEngine();
#else
    throw Error(model.string() + ": .onnx needs OpenVINO, which is not in this build; install it and build again");
#endif
  }
#ifdef WITH_LITE
  return MakeLiteEngine(device, device_id);
#else
  throw Error(model.string() + ": .mindir needs MindSpore Lite, which is not in this build; build with LITE_HOME");
#endif
}

std::string ShapeText(const std::vector<int64_t>& shape) {
  std::string text;
  for (int64_t side : shape) text += (text.empty() ? "" : "x") + (side < 0 ? "?" : std::to_string(side));
  return text.empty() ? "a single number" : text;
}

size_t FindMap(const std::vector<std::vector<int64_t>>& shapes, const ModelInfo& info) {
  const int64_t batch = info.batch_size;
  const std::vector<int64_t> map = {batch, info.map.height, info.map.width};
  const auto is_score = [&](const std::vector<int64_t>& shape) {
    return shape == std::vector<int64_t>{batch} || shape == std::vector<int64_t>{batch, 1};
  };
  std::string found;
  for (const auto& shape : shapes) found += (found.empty() ? "" : " and ") + ShapeText(shape);
  if (shapes.size() == 2) {
    if (shapes[0] == map && is_score(shapes[1])) return 0;
    if (shapes[1] == map && is_score(shapes[0])) return 1;
  }
  throw Error("gives " + found + " instead of a map " + ShapeText(map) + " and a score " + ShapeText({batch}));
}
