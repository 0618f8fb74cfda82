#ifndef ANOMALY_INFER_INFERENCE_H_
#define ANOMALY_INFER_INFERENCE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "args.h"
#include "engine.h"
#include "error.h"
#include "image_io.h"
#include "results.h"
#include "tiles.h"
#include "timing.h"
#include "view.h"

// Judges images, one batch after the other, and writes what is found.
class Inference {
 public:
  Inference(const Args& args, const ModelInfo& info, Engine* engine);

  // Returns the exit code.
  int Run(const std::vector<Input>& inputs);

 private:
  struct Loaded {
    Input input;
    View view;
  };

  size_t Batch() const { return static_cast<size_t>(info_.batch_size); }
  size_t ImageBytes() const { return static_cast<size_t>(info_.size.height) * info_.size.width * 3; }

  View Read(const Input& input) const;
  void WarmUp();
  void RunModel();
  void RunTimed();

  void Judge(const std::vector<Loaded>& batch);
  void JudgeWhole(const std::vector<Loaded>& batch);
  void JudgeInTiles(const Loaded& loaded);

  // An image of the batch in which the model looks at it, and what it has found there.
  void Put(size_t place, const cv::Mat& picture);
  cv::Mat MapAt(size_t place);

  // The values of a whole image.
  void Add(const Loaded& loaded, cv::Mat map, float score);
  void Report(const Error& error);
  std::string Times(double whole) const;

  const Args& args_;
  const ModelInfo& info_;
  Engine* engine_;
  Results results_;
  std::optional<Tiles> tiles_;
  std::vector<uint8_t> pixels_;
  std::vector<float> maps_;
  std::vector<float> scores_;
  Latencies runs_;    // the model alone, a batch at a time
  Latencies images_;  // from file to results
  int code_ = 0;
};

#endif  // ANOMALY_INFER_INFERENCE_H_
