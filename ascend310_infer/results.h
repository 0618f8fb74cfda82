#ifndef ANOMALY_INFER_RESULTS_H_
#define ANOMALY_INFER_RESULTS_H_

#include <filesystem>
#include <opencv2/core.hpp>
#include <string>

#include "model_info.h"
#include "view.h"

// Writes what is found into the output folder. Everything throws OutputError.
class Results {
 public:
  // Removes the results.csv and the times of an earlier run, so that they cannot be taken for those of this one.
  // `draws`: heat maps too.
  Results(const std::filesystem::path& folder, const ModelInfo& info, bool draws);

  // NAME.bin, and NAME.heat.png over the picture; keeps the line for results.csv.
  void Add(const std::filesystem::path& name, const cv::Mat& map, float score, const View& view);

  // The lines so far, if that is possible: for when nothing else is.
  void KeepTable() noexcept;

  // results.csv and test_perform_static.txt.
  void Finish(const std::string& times);

 private:
  std::filesystem::path folder_;
  ModelInfo info_;
  bool draws_;
  std::string lines_ = "name,score,normalised,verdict,regions\n";
};

#endif  // ANOMALY_INFER_RESULTS_H_
