// Judges images with an exported model: see README.md.

#include <cmath>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <opencv2/core/utils/logger.hpp>
#include <sstream>

#include "args.h"
#include "engine.h"
#include "error.h"
#include "image_io.h"
#include "results.h"
#include "timing.h"

namespace {

// Names the file, where the program goes on with the others.
void Report(const Error& error) { std::cerr << "error: " << error.what() << std::endl; }

struct Loaded {
  Input input;
  cv::Mat image;
};

class Inference {
 public:
  Inference(const Args& args, const ModelInfo& info, Engine* engine)
      : args_(args), info_(info), engine_(engine), results_(args.output, info) {}

  // Returns the exit code.
  int Run(const std::vector<Input>& inputs) {
    WarmUp();
    const Stopwatch whole;
    std::vector<Loaded> batch;
    Stopwatch watch;
    for (size_t i = 0; i < inputs.size(); ++i) {
      try {
        batch.push_back({inputs[i], Read(inputs[i])});
      } catch (const Error& error) {
        Report(error);
        code_ = 1;
        if (batch.empty()) watch = Stopwatch();
      }
      if (batch.empty() || (batch.size() < Batch() && i + 1 < inputs.size())) continue;
      const size_t done = batch.size();
      try {
        Judge(batch);
      } catch (const Error&) {
        results_.KeepTable();
        throw;
      }
      const double each = watch.Milliseconds() / static_cast<double>(done);
      for (size_t k = 0; k < done; ++k) images_.Add(each);
      batch.clear();
      watch = Stopwatch();
    }
    const std::string times = Times(whole.Milliseconds());
    std::cout << times;
    results_.Finish(times);
    return code_;
  }

 private:
  size_t Batch() const { return static_cast<size_t>(info_.batch_size); }

  cv::Mat Read(const Input& input) const {
    return args_.preprocess ? ReadPhotograph(input.path, info_) : ReadBin(input.path, info_.size);
  }

  size_t ImageBytes() const { return static_cast<size_t>(info_.size.height) * info_.size.width * 3; }

  void RunModel() {
    try {
      engine_->Run(pixels_.data(), &maps_, &scores_);
    } catch (const Error& error) {
      throw Error(args_.model.string() + ": " + error.what());
    }
  }

  // The first runs allocate memory and choose kernels.
  void WarmUp() {
    pixels_.assign(Batch() * ImageBytes(), 0);
    for (int i = 0; i < args_.warmup; ++i) RunModel();
  }

  void Judge(const std::vector<Loaded>& batch) {
    for (size_t i = 0; i < batch.size(); ++i) {
      std::memcpy(pixels_.data() + i * ImageBytes(), batch[i].image.data, ImageBytes());
    }
    const Stopwatch watch;
    RunModel();
    runs_.Add(watch.Milliseconds());
    const size_t length = static_cast<size_t>(info_.map.height) * info_.map.width;
    for (size_t i = 0; i < batch.size(); ++i) {
      const cv::Mat map(info_.map.height, info_.map.width, CV_32F, maps_.data() + i * length);
      // Not a number is never above a threshold; it must not pass for a good part.
      if (!std::isfinite(scores_[i]) || !cv::checkRange(map)) {
        Report(Error(batch[i].input.path.string() + ": the model gives values that are no numbers"));
        code_ = 1;
        continue;
      }
      results_.Add(batch[i].input.name, map, scores_[i], args_.preprocess ? batch[i].image : cv::Mat());
    }
  }

  std::string Times(double whole) const {
    std::ostringstream text;
    text << args_.model.filename().string() << " (" << info_.label << "), " << engine_->Name() << ", batch "
         << info_.batch_size << ", " << images_.Count() << " images, " << args_.warmup << " warm-up runs\n";
    if (info_.random_backbone) {
      text << "RANDOM BACKBONE (no pretrained weights): these figures say nothing about the method\n";
    }
    if (!info_.remark.empty()) text << info_.remark << "\n";
    if (images_.Count() > 0) {
      text << "inference [ms]:    " << runs_.Line() << "\n"
           << "whole image [ms]:  " << images_.Line() << "\n"
           << "throughput [1/s]:  " << 1000 * static_cast<double>(images_.Count()) / whole << "\n";
    }
    return text.str();
  }

  const Args& args_;
  const ModelInfo& info_;
  Engine* engine_;
  Results results_;
  std::vector<uint8_t> pixels_;
  std::vector<float> maps_;
  std::vector<float> scores_;
  Latencies runs_;    // the model alone, a batch at a time
  Latencies images_;  // from file to results
  int code_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  // What a decoder thinks of a bad file is said in this program's own line.
  cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
  try {
    const Args args = ParseArgs(argc, argv);
    if (args.help) {
      std::cout << kUsage;
      return 0;
    }
    const ModelInfo info = ReadModelInfo(args.model);
    const std::vector<Input> inputs = FindInputs(args.input, args.output, args.preprocess);
    const std::unique_ptr<Engine> engine = MakeEngine(args.device, args.device_id, args.model);
    try {
      engine->Load(args.model, info);
    } catch (const Error& error) {
      throw Error(args.model.string() + ": " + error.what());
    }
    return Inference(args, info, engine.get()).Run(inputs);
  } catch (const UsageError& error) {
    std::cerr << "error: " << error.what() << "\n" << kUsage;
    return 2;
  } catch (const std::exception& error) {
    std::cerr << "error: " << OneLine(error.what()) << std::endl;
    return 1;
  }
}
