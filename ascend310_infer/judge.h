#ifndef ANOMALY_INFER_JUDGE_H_
#define ANOMALY_INFER_JUDGE_H_

#include <cstdint>
#include <opencv2/core.hpp>
#include <optional>
#include <string>
#include <vector>

#include "engine.h"
#include "regions.h"
#include "tiles.h"
#include "view.h"

// What the model gives for a photograph.
struct Found {
  cv::Mat map;  // CV_32F
  float score = 0;
};

struct Judgement {
  cv::Mat map;
  float score = 0;
  std::optional<double> normalised;  // without a threshold there is none
  const char* verdict = "";
  std::vector<Region> regions;  // of an anomalous photograph
};

// Runs a model on photographs. Several threads may use one.
class Judge {
 public:
  // `name`: what errors call the model. The info and the engine must outlive this.
  Judge(std::string name, const ModelInfo& info, Engine* engine);

  // How many photographs are judged in one call, at most.
  size_t Together() const { return tiles_ ? 1 : Batch(); }

  // Of each photograph; `runs` gets the milliseconds that each run of the model has taken. Throws Error.
  std::vector<Found> Run(const std::vector<View>& views, std::vector<double>* runs) const;

  // The same runs of the model on nothing, before time counts. Throws Error.
  void WarmUp() const;

  // Throws Error, which does not name the photograph, where the model has given values that are no numbers.
  Judgement Decide(const Found& found, const View& view) const;

 private:
  class Pictures;

  size_t Batch() const { return static_cast<size_t>(info_.batch_size); }
  std::vector<Found> Whole(const std::vector<View>& views, std::vector<double>* runs) const;
  Found InTiles(const View& view, std::vector<double>* runs) const;

  std::string name_;
  const ModelInfo& info_;
  Engine* engine_;
  std::optional<Tiles> tiles_;
};

#endif  // ANOMALY_INFER_JUDGE_H_
