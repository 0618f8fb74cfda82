#include "results.h"

#include <cstdio>
#include <nlohmann/json.hpp>
#include <opencv2/imgproc.hpp>
#include <vector>

#include "error.h"
#include "files.h"
#include "number.h"
#include "overlay.h"
#include "png.h"
#include "regions.h"
#include "said.h"

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

// Names of files may hold bytes that are no UTF-8.
std::string JsonText(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// There is no point in going on where that is all that is wanted.
void SayLine(const std::string& line) {
  Say(line + "\n");
  if (!Unsaid().empty()) throw OutputError("standard output: cannot be written: " + Unsaid());
}

// What this program has written, as far as it goes, or nothing.
void RequireOwn(const fs::path& path, const std::string& sign) {
  std::error_code failed;
  if (!fs::exists(fs::symlink_status(path, failed))) return;
  bool own = fs::is_regular_file(fs::symlink_status(path, failed));
  if (own) {
    const std::vector<unsigned char> data = ReadFile(path);
    own = data.empty() || std::string(data.begin(), data.end()).find(sign) != std::string::npos;
  }
  if (!own) throw OutputError(path.string() + ": is there already and was not written by this program; choose another --output");
}

// The verdict and what it comes from.
std::string Caption(const Judgement& judgement) {
  char text[80];
  if (judgement.normalised) {
    std::snprintf(text, sizeof(text), "%s  %.3f (threshold 0.5)", judgement.verdict, *judgement.normalised);
  } else {
    std::snprintf(text, sizeof(text), "%s  score %.4g", judgement.verdict, judgement.score);
  }
  return text;
}

cv::Scalar ColourOf(const Judgement& judgement) {
  if (!judgement.normalised) return {90, 90, 90};
  return judgement.verdict == std::string("ANOMALOUS") ? cv::Scalar(220, 30, 30) : cv::Scalar(20, 110, 40);
}

}  // namespace

Results::Results(const fs::path& folder, const ModelInfo& info, bool draws, bool json)
    : folder_(folder), info_(info), draws_(draws), json_(json) {
  if (folder_.empty()) return;
  RequireOwn(folder_ / kTable, "name,score,");
  RequireOwn(folder_ / kTimes, " warm-up runs\n");
  for (const char* name : {kTable, kTimes}) {
    WriteFile(folder_ / name, "", 0);  // finds out now, not after the work, whether the folder can be written to
    fs::remove(folder_ / name);
  }
}

void Results::WriteFiles(const fs::path& name, const Judgement& judgement, const View& view) const {
  if (folder_.empty()) return;
  const cv::Mat& map = judgement.map;
  WriteFile(folder_ / (name.string() + ".bin"), map.data, map.total() * map.elemSize());
  if (draws_) Draw(name, judgement, view);
}

void Results::Draw(const fs::path& name, const Judgement& judgement, const View& view) const {
  cv::Mat picture = Overlay(view.picture, judgement.map, info_.pixel);
  DrawBoxes(judgement.regions, &picture);
  if (info_.random_backbone) {
    cv::putText(picture, "RANDOM BACKBONE", {6, 18}, cv::FONT_HERSHEY_SIMPLEX, 0.45, {220, 30, 30}, 1, cv::LINE_AA);
  }
  const std::vector<unsigned char> png = EncodePng(WithCaption(picture, Caption(judgement), ColourOf(judgement)));
  WriteFile(folder_ / (name.string() + ".heat.png"), png.data(), png.size());
}

void Results::Add(const Input& input, const Judgement& judgement) {
  const std::string name = input.name.string(), score = Number(judgement.score);
  const std::string normalised = judgement.normalised ? Number(*judgement.normalised) : "";
  const std::string regions = ToJson(judgement.regions);
  lines_ += CsvField(name) + "," + score + "," + normalised + "," + judgement.verdict + "," + CsvField(regions) + "\n";
  if (json_) {
    const std::string threshold = info_.image.threshold ? Number(*info_.image.threshold) : "null";
    SayLine("{\"path\":" + JsonText(input.path.string()) + ",\"verdict\":\"" + judgement.verdict + "\",\"score\":" +
            score + ",\"normalised\":" + (normalised.empty() ? "null" : normalised) + ",\"threshold\":" + threshold +
            ",\"regions\":" + regions + "}");
  } else {
    char head[64];
    std::snprintf(head, sizeof(head), "%-9s  %.4f  ", judgement.verdict, judgement.normalised.value_or(judgement.score));
    Say(head + Shown(name) + "\n");
  }
}

void Results::AddError(const Input& input, const std::string& error) {
  if (json_) SayLine("{\"path\":" + JsonText(input.path.string()) + ",\"error\":" + JsonText(error) + "}");
}

void Results::KeepTable() noexcept {
  if (folder_.empty()) return;
  try {
    WriteFile(folder_ / kTable, lines_.data(), lines_.size());
  } catch (const std::exception&) {  // what went wrong before is what is told
  }
}

void Results::Finish(const std::string& times) {
  if (folder_.empty()) return;
  WriteFile(folder_ / kTable, lines_.data(), lines_.size());
  WriteFile(folder_ / kTimes, times.data(), times.size());
}
