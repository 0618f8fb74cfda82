#include "judge.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "error.h"
#include "timing.h"

// What one run of the model takes and gives.
class Judge::Pictures {
 public:
  explicit Pictures(const Judge& judge)
      : judge_(judge), size_(static_cast<size_t>(judge.info_.size.height) * judge.info_.size.width) {
    pixels_.resize(judge.Batch() * size_ * 3);
  }

  void Put(size_t place, const cv::Mat& picture) {
    std::memcpy(pixels_.data() + place * size_ * 3, picture.data, size_ * 3);
  }

  void Run(std::vector<double>* runs) {
    const Stopwatch watch;
    try {
      judge_.engine_->Run(pixels_.data(), &maps_, &scores_);
    } catch (const Error& error) {
      throw Error(judge_.name_ + ": " + error.what());
    }
    runs->push_back(watch.Milliseconds());
  }

  // Shares its memory with the next one at this place.
  cv::Mat Map(size_t place) {
    return cv::Mat(judge_.info_.map.height, judge_.info_.map.width, CV_32F, maps_.data() + place * size_);
  }

  float Score(size_t place) const { return scores_[place]; }

 private:
  const Judge& judge_;
  size_t size_;
  std::vector<uint8_t> pixels_;
  std::vector<float> maps_;
  std::vector<float> scores_;
};

Judge::Judge(std::string name, const ModelInfo& info, Engine* engine)
    : name_(std::move(name)), info_(info), engine_(engine) {
  if (info.overlap) tiles_.emplace(info.size, *info.overlap);
}

std::vector<Found> Judge::Run(const std::vector<View>& views, std::vector<double>* runs) const {
  if (!tiles_) return Whole(views, runs);
  std::vector<Found> found;
  for (const View& view : views) found.push_back(InTiles(view, runs));
  return found;
}

void Judge::WarmUp() const {
  std::vector<double> runs;
  Pictures(*this).Run(&runs);
}

std::vector<Found> Judge::Whole(const std::vector<View>& views, std::vector<double>* runs) const {
  Pictures pictures(*this);
  for (size_t i = 0; i < views.size(); ++i) pictures.Put(i, views[i].picture);
  pictures.Run(runs);
  std::vector<Found> found;
  for (size_t i = 0; i < views.size(); ++i) found.push_back({pictures.Map(i).clone(), pictures.Score(i)});
  return found;
}

Found Judge::InTiles(const View& view, std::vector<double>* runs) const {
  const std::vector<cv::Point> windows = tiles_->Windows(view.photograph);
  JoinedMap joined(*tiles_, view.photograph);
  Pictures pictures(*this);
  float worst = -std::numeric_limits<float>::infinity();
  for (size_t start = 0; start < windows.size(); start += Batch()) {
    const size_t count = std::min(Batch(), windows.size() - start);
    for (size_t i = 0; i < count; ++i) pictures.Put(i, tiles_->Cut(view.picture, windows[start + i]));
    pictures.Run(runs);
    for (size_t i = 0; i < count; ++i) {
      joined.Add(pictures.Map(i), windows[start + i]);
      // Nothing is larger than what is not a number; it stays.
      worst = std::isnan(worst) ? worst : !(pictures.Score(i) <= worst) ? pictures.Score(i) : worst;
    }
  }
  return {joined.Finish(), worst};
}

Judgement Judge::Decide(const Found& found, const View& view) const {
  // Not a number is never above a threshold; it must not pass for a good part.
  if (!std::isfinite(found.score) || !cv::checkRange(found.map)) {
    throw Error("the model gives values that are no numbers");
  }
  Judgement judgement{found.map, found.score, std::nullopt, info_.image.Verdict(found.score), {}};
  FloorMap(view.seen, info_.pixel, &judgement.map);
  if (info_.image.threshold) judgement.normalised = info_.image.Normalise(found.score);
  if (judgement.verdict == std::string("ANOMALOUS")) {
    judgement.regions = FindRegions(judgement.map, info_.pixel, view.frame, view.photograph);
  }
  return judgement;
}
