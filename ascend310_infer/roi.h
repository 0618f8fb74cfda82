#ifndef ANOMALY_INFER_ROI_H_
#define ANOMALY_INFER_ROI_H_

#include <filesystem>
#include <opencv2/core.hpp>
#include <string>

// Where to look in photographs, as anomaly/data/roi.py has it: one mask, or a folder with a mask for each photograph.
class RegionOfInterest {
 public:
  // Everywhere.
  RegionOfInterest() = default;

  // From the line of text that a model's .json carries; without one, everywhere. Throws Error.
  explicit RegionOfInterest(const std::string& text);

  // Where the masks of photographs are; empty if it does not say.
  const std::filesystem::path& Folder() const { return folder_; }
  void UseFolder(const std::filesystem::path& folder) { folder_ = folder; }

  // The mask of a photograph, CV_8U, 0 outside; empty: everywhere. Throws Error.
  cv::Mat Of(const std::filesystem::path& photograph, cv::Size size) const;

 private:
  cv::Mat mask_;
  std::filesystem::path folder_;
};

#endif  // ANOMALY_INFER_ROI_H_
