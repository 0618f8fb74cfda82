#include "inference.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iostream>
#include <limits>
#include <sstream>

#include "regions.h"

Inference::Inference(const Args& args, const ModelInfo& info, Engine* engine)
    : args_(args), info_(info), engine_(engine), results_(args.output, info, args.preprocess) {
  if (info.overlap) tiles_.emplace(info.size, *info.overlap);
}

int Inference::Run(const std::vector<Input>& inputs) {
  WarmUp();
  const Stopwatch whole;
  const size_t together = tiles_ ? 1 : Batch();
  std::vector<Loaded> batch;
  Stopwatch watch;
  for (size_t i = 0; i < inputs.size(); ++i) {
    try {
      batch.push_back({inputs[i], Read(inputs[i])});
    } catch (const Error& error) {
      Report(error);
      if (batch.empty()) watch = Stopwatch();
    }
    if (batch.empty() || (batch.size() < together && i + 1 < inputs.size())) continue;
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

View Inference::Read(const Input& input) const {
  if (!args_.preprocess) return PlainView(ReadBin(input.path, info_.size));
  const cv::Mat photograph = ReadPhotograph(input.path);
  return MakeView(photograph, info_.roi.Of(input.path, photograph.size()), info_);
}

void Inference::RunModel() {
  try {
    engine_->Run(pixels_.data(), &maps_, &scores_);
  } catch (const Error& error) {
    throw Error(args_.model.string() + ": " + error.what());
  }
}

// The first runs allocate memory and choose kernels.
void Inference::WarmUp() {
  pixels_.assign(Batch() * ImageBytes(), 0);
  for (int i = 0; i < args_.warmup; ++i) RunModel();
}

void Inference::RunTimed() {
  const Stopwatch watch;
  RunModel();
  runs_.Add(watch.Milliseconds());
}

void Inference::Put(size_t place, const cv::Mat& picture) {
  std::memcpy(pixels_.data() + place * ImageBytes(), picture.data, ImageBytes());
}

cv::Mat Inference::MapAt(size_t place) {
  const size_t length = static_cast<size_t>(info_.map.height) * info_.map.width;
  return cv::Mat(info_.map.height, info_.map.width, CV_32F, maps_.data() + place * length);
}

void Inference::Judge(const std::vector<Loaded>& batch) {
  if (!tiles_) return JudgeWhole(batch);
  for (const Loaded& loaded : batch) JudgeInTiles(loaded);
}

void Inference::JudgeWhole(const std::vector<Loaded>& batch) {
  for (size_t i = 0; i < batch.size(); ++i) Put(i, batch[i].view.picture);
  RunTimed();
  for (size_t i = 0; i < batch.size(); ++i) Add(batch[i], MapAt(i), scores_[i]);
}

void Inference::JudgeInTiles(const Loaded& loaded) {
  const View& view = loaded.view;
  const std::vector<cv::Point> windows = tiles_->Windows(view.photograph);
  JoinedMap joined(*tiles_, view.photograph);
  float worst = -std::numeric_limits<float>::infinity();
  for (size_t start = 0; start < windows.size(); start += Batch()) {
    const size_t count = std::min(Batch(), windows.size() - start);
    for (size_t i = 0; i < count; ++i) Put(i, tiles_->Cut(view.picture, windows[start + i]));
    RunTimed();
    for (size_t i = 0; i < count; ++i) {
      joined.Add(MapAt(i), windows[start + i]);
      // Nothing is larger than what is not a number; it stays.
      worst = std::isnan(worst) ? worst : !(scores_[i] <= worst) ? scores_[i] : worst;
    }
  }
  Add(loaded, joined.Finish(), worst);
}

void Inference::Add(const Loaded& loaded, cv::Mat map, float score) {
  // Not a number is never above a threshold; it must not pass for a good part.
  if (!std::isfinite(score) || !cv::checkRange(map)) {
    return Report(Error(loaded.input.path.string() + ": the model gives values that are no numbers"));
  }
  FloorMap(loaded.view.seen, info_.pixel, &map);
  results_.Add(loaded.input.name, map, score, loaded.view);
}

// Names the file, where the program goes on with the others.
void Inference::Report(const Error& error) {
  std::cerr << "error: " << error.what() << std::endl;
  code_ = 1;
}

std::string Inference::Times(double whole) const {
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
