#ifndef ANOMALY_INFER_ENGINE_H_
#define ANOMALY_INFER_ENGINE_H_

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "model_info.h"
#include "settings.h"

// One library that runs models. Each implementation alone includes its SDK.
class Engine {
 public:
  virtual ~Engine() = default;

  // Throws Error if the file cannot be loaded, or takes or gives something else than the info says. Errors of an
  // engine do not name the model; who calls it does.
  virtual void Load(const std::filesystem::path& model, const ModelInfo& info) = 0;

  // `images`: info.batch_size images, uint8 NHWC. Fills as many maps, one after the other, and scores. What MakeEngine
  // makes may be called by several threads at once.
  virtual void Run(const uint8_t* images, std::vector<float>* maps, std::vector<float>* scores) = 0;

  // For people: library and device.
  virtual std::string Name() const = 0;
};

// The engine for this kind of model on this device, by settings that are complete. Throws Error if this build has none.
std::unique_ptr<Engine> MakeEngine(const Settings& settings, const std::filesystem::path& model);

// The library that MindSpore Lite's engine is, and the function in it that makes one.
inline constexpr char kLiteLibrary[] = "libanomaly_lite.so";
inline constexpr char kLiteMaker[] = "anomaly_make_lite_engine";
using LiteMaker = Engine*(const Settings& settings);

// What engines share: shapes as text, which output is which, and what those do that have no bfloat16.
std::string ShapeText(const std::vector<int64_t>& shape);

struct Places {
  size_t map = 0;
  size_t score = 0;
};

// Which output is which, by its shape; the score comes before the normalised score, which has the same shape and which
// this program works out itself. Throws Error unless there are one map and one or two scores.
Places FindOutputs(const std::vector<std::vector<int64_t>>& shapes, const ModelInfo& info);

// Says that a model in bfloat16 is computed in float32. Throws Error where bfloat16 was asked for.
void WithoutBfloat16(const std::string& engine, const Settings& settings, const ModelInfo& info);

#endif  // ANOMALY_INFER_ENGINE_H_
