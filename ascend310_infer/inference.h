#ifndef ANOMALY_INFER_INFERENCE_H_
#define ANOMALY_INFER_INFERENCE_H_

#include <string>
#include <vector>

#include "args.h"
#include "engine.h"
#include "error.h"
#include "image_io.h"
#include "in_order.h"
#include "judge.h"
#include "results.h"
#include "timing.h"

// Judges photographs, several at the same time, and writes what is found, in their order.
class Inference {
 public:
  // `settings`: those of the arguments, completed. All must outlive this.
  Inference(const Args& args, const Settings& settings, const ModelInfo& info, Engine* engine);

  // Returns the exit code.
  int Run(const std::vector<Input>& inputs);

 private:
  // What has become of one photograph.
  struct Outcome {
    Input input;
    std::string error;  // empty: it has been judged
    Judgement judgement;
  };

  // The photographs `first` to `last`; what is returned adds what was found to the results.
  Rest Work(const std::vector<Input>& inputs, size_t first, size_t last);
  View Read(const Input& input) const;
  void WarmUp();
  void Report(const Outcome& outcome);
  std::string Times(double whole) const;

  const Args& args_;
  const Settings& settings_;
  const ModelInfo& info_;
  Engine* engine_;
  Judge judge_;
  Results results_;
  Latencies runs_;    // the model alone, a batch at a time
  Latencies images_;  // from file to results
  int code_ = 0;
};

#endif  // ANOMALY_INFER_INFERENCE_H_
