#ifndef ANOMALY_INFER_PROOF_H_
#define ANOMALY_INFER_PROOF_H_

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <opencv2/core.hpp>
#include <string>
#include <vector>

// What the model has to say of a known picture, by the detector that it was exported from: see anomaly/deploy/proof.py.
struct Proof {
  cv::Mat picture;  // RGB, as the model takes it
  double score = 0;
  std::vector<int> rows;  // of the map, and
  std::vector<int> columns;
  std::vector<double> map;  // what it has there, row after row

  // Throws Error, or what the reader of JSON throws, where it is none for pictures of this size.
  static Proof Read(const nlohmann::json& json, int height, int width);

  // `map`: height x width. Throws Error where the numbers are others than a model of this precision may give.
  void Require(const float* map, int width, float score, const std::string& precision) const;
};

#endif  // ANOMALY_INFER_PROOF_H_
