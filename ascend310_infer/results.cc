#include "results.h"

#include <cstdio>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <vector>

#include "error.h"
#include "files.h"
#include "number.h"
#include "overlay.h"
#include "regions.h"

namespace fs = std::filesystem;

namespace {

constexpr char kTable[] = "results.csv";
constexpr char kTimes[] = "test_perform_static.txt";

std::string CsvField(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

}  // namespace

Results::Results(const fs::path& folder, const ModelInfo& info, bool draws)
    : folder_(folder), info_(info), draws_(draws) {
  for (const char* name : {kTable, kTimes}) {
    WriteFile(folder_ / name, "", 0);  // finds out now, not after the work, whether the folder can be written to
    fs::remove(folder_ / name);
  }
}

void Results::Add(const fs::path& name, const cv::Mat& map, float score, const View& view) {
  const std::string verdict = info_.image.Verdict(score);
  std::vector<Region> regions;
  if (verdict == "ANOMALOUS") regions = FindRegions(map, info_.pixel, view.frame, view.photograph);
  WriteFile(folder_ / (name.string() + ".bin"), map.data, map.total() * map.elemSize());
  if (draws_) {
    cv::Mat picture = Overlay(view.picture, map, info_.pixel);
    DrawBoxes(regions, &picture);
    cv::cvtColor(picture, picture, cv::COLOR_RGB2BGR);
    if (info_.random_backbone) {
      cv::putText(picture, "RANDOM BACKBONE", {6, 18}, cv::FONT_HERSHEY_SIMPLEX, 0.45, {30, 30, 220}, 1, cv::LINE_AA);
    }
    std::vector<unsigned char> png;
    cv::imencode(".png", picture, png);
    WriteFile(folder_ / (name.string() + ".heat.png"), png.data(), png.size());
  }
  const std::string normalised = info_.image.threshold ? Number(info_.image.Normalise(score)) : "";
  lines_ += CsvField(name.string()) + "," + Number(score) + "," + normalised + "," + verdict + "," +
            CsvField(ToJson(regions)) + "\n";
  const double shown = info_.image.threshold ? info_.image.Normalise(score) : score;
  std::printf("%-9s  %.4f  %s\n", verdict.c_str(), shown, name.string().c_str());
}

void Results::KeepTable() noexcept {
  try {
    WriteFile(folder_ / kTable, lines_.data(), lines_.size());
  } catch (const std::exception&) {  // what went wrong before is what is told
  }
}

void Results::Finish(const std::string& times) {
  WriteFile(folder_ / kTable, lines_.data(), lines_.size());
  WriteFile(folder_ / kTimes, times.data(), times.size());
}
