#ifndef ANOMALY_INFER_RESULTS_H_
#define ANOMALY_INFER_RESULTS_H_

#include <filesystem>
#include <opencv2/core.hpp>
#include <string>

#include "image_io.h"
#include "judge.h"
#include "model_info.h"
#include "view.h"

// Says what is found, and writes it into the output folder. Everything throws OutputError.
class Results {
 public:
  // Removes the results.csv and the times of an earlier run, so that they cannot be taken for those of this one.
  // `folder`: empty, nothing is written. `draws`: heat maps too. `json`: says it in JSON, a line for each photograph.
  Results(const std::filesystem::path& folder, const ModelInfo& info, bool draws, bool json);

  // NAME.bin, and NAME.heat.png over the picture. Several threads may call it at once.
  void WriteFiles(const std::filesystem::path& name, const Judgement& judgement, const View& view) const;

  // Says it; keeps the line for results.csv.
  void Add(const Input& input, const Judgement& judgement);

  // Of a photograph that could not be judged, where that goes with what is said of the others.
  void AddError(const Input& input, const std::string& error);

  // The lines so far, if that is possible: for when nothing else is.
  void KeepTable() noexcept;

  // results.csv and test_perform_static.txt.
  void Finish(const std::string& times);

 private:
  void Draw(const std::filesystem::path& name, const Judgement& judgement, const View& view) const;

  std::filesystem::path folder_;
  ModelInfo info_;
  bool draws_;
  bool json_;
  std::string lines_ = "name,score,normalised,verdict,regions\n";
};

#endif  // ANOMALY_INFER_RESULTS_H_
