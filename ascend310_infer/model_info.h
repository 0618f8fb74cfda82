#ifndef ANOMALY_INFER_MODEL_INFO_H_
#define ANOMALY_INFER_MODEL_INFO_H_

#include <filesystem>
#include <optional>
#include <string>

#include "proof.h"
#include "roi.h"

struct Size {
  int height = 0;
  int width = 0;
};

inline bool operator==(Size a, Size b) { return a.height == b.height && a.width == b.width; }
inline bool operator!=(Size a, Size b) { return !(a == b); }

// Turns scores into verdicts as anomaly/measure/calibration.py does; without a threshold there is none.
struct Scale {
  std::optional<double> threshold;
  double unit = 1;

  // Between 0 and 1, 0.5 at the threshold. Only where there is one.
  double Normalise(double score) const;
  const char* Verdict(double score) const;
};

// What the exporter wrote beside the model.
struct ModelInfo {
  std::string checksum;  // of the file of the model, where its .json has one
  std::string label;  // method, category and backbone, for people
  bool random_backbone = false;
  std::string remark;  // what a reader of its figures has to know, if anything
  Size resize;
  Size size;                      // of what the model takes: `resize`, or the crop from its middle
  std::optional<double> overlap;  // of a model of tiles, whose windows are of this size: the part that two share
  bool keep_aspect = false;       // photographs are fitted into `resize` with their proportions
  RegionOfInterest roi;
  bool any_batch = false;  // whether the number of images that the model takes at once is open; then it is
  int batch_size = 1;      // one at a time, unless another is chosen
  Size map;
  // float32; bfloat16, up to the tensors called boundary, where the processor has it; int8, where the file says so
  std::string precision = "float32";
  std::string exported_precision = "float32";  // the same, unless another was chosen
  std::optional<Proof> proof;                  // none in models that were exported before there was one
  Scale image;
  Scale pixel;
};

// Reads the .json beside the model and compares the checksum. Throws Error.
ModelInfo ReadModelInfo(const std::filesystem::path& model);

#endif  // ANOMALY_INFER_MODEL_INFO_H_
