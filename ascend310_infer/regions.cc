#include "regions.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <opencv2/imgproc.hpp>

#include "number.h"

namespace {

constexpr size_t kMostRegions = 100;   // regions; a map of nothing but noise could have thousands
constexpr double kNear = 0.1;  // of the scale's unit below the peak, where nothing is above the threshold

// Above which a place is marked: the threshold. Where nothing is above it, a little below the warmest place: of a
// photograph that is anomalous something has to be shown. In float32, as the maps are.
float Limit(double peak, const Scale& scale) {
  const bool found = scale.threshold && peak > *scale.threshold;
  return static_cast<float>(found ? *scale.threshold : peak - kNear * scale.unit);
}

cv::Mat Above(const cv::Mat& map, const Scale& scale) {
  double peak = 0;
  cv::minMaxLoc(map, nullptr, &peak);
  return map > Limit(peak, scale);
}

// The pixels of a map as places in a photograph.
class Grid {
 public:
  Grid(const Frame& frame, cv::Size map, cv::Size photograph)
      : frame_(frame), photograph_(photograph), across_(frame.width / map.width), down_(frame.height / map.height) {}

  // The pixel of the photograph in which a point of the map lies.
  cv::Point At(double x, double y) const {
    return {std::clamp(static_cast<int>(std::floor(frame_.left + x * across_)), 0, photograph_.width - 1),
            std::clamp(static_cast<int>(std::floor(frame_.top + y * down_)), 0, photograph_.height - 1)};
  }

  // The corner of the photograph's pixels that reaches this point.
  cv::Point End(double x, double y) const {
    return {std::min(static_cast<int>(std::ceil(frame_.left + x * across_)), photograph_.width),
            std::min(static_cast<int>(std::ceil(frame_.top + y * down_)), photograph_.height)};
  }

  int64_t Area(int pixels) const {
    return std::max<int64_t>(1, static_cast<int64_t>(std::nearbyint(pixels * across_ * down_)));
  }

 private:
  Frame frame_;
  cv::Size photograph_;
  double across_, down_;  // pixels of the photograph to one of the map
};

// The first of the largest values that carry this label.
cv::Point Warmest(const cv::Mat& map, const cv::Mat& labels, int label, cv::Rect place) {
  cv::Point found(-1, -1);
  for (int y = place.y; y < place.y + place.height; ++y) {
    for (int x = place.x; x < place.x + place.width; ++x) {
      if (labels.at<int>(y, x) != label) continue;
      if (found.x < 0 || map.at<float>(y, x) > map.at<float>(found)) found = {x, y};
    }
  }
  return found;
}

}  // namespace

std::vector<Region> FindRegions(const cv::Mat& map, const Scale& scale, const Frame& frame, cv::Size photograph) {
  std::vector<Region> regions;
  if (!scale.threshold) return regions;
  cv::Mat labels, stats, centres;
  const int count = cv::connectedComponentsWithStats(Above(map, scale), labels, stats, centres, 8, CV_32S);
  const Grid to(frame, map.size(), photograph);
  for (int label = 1; label < count; ++label) {  // 0 is what is not marked
    const int* found = stats.ptr<int>(label);
    Region region;
    region.place = {found[cv::CC_STAT_LEFT], found[cv::CC_STAT_TOP], found[cv::CC_STAT_WIDTH],
                    found[cv::CC_STAT_HEIGHT]};
    const cv::Point start = to.At(region.place.x, region.place.y);
    const cv::Point end = to.End(region.place.br().x, region.place.br().y);
    region.box = {start.x, start.y, std::max(1, end.x - start.x), std::max(1, end.y - start.y)};
    region.area = to.Area(found[cv::CC_STAT_AREA]);
    const cv::Point warmest = Warmest(map, labels, label, region.place);
    region.peak = map.at<float>(warmest);
    region.normalised = scale.Normalise(region.peak);
    region.at = to.At(warmest.x + 0.5, warmest.y + 0.5);
    regions.push_back(region);
  }
  std::stable_sort(regions.begin(), regions.end(), [](const Region& a, const Region& b) {
    const auto box = [](const Region& region) {
      return std::array<int, 4>{region.box.x, region.box.y, region.box.width, region.box.height};
    };
    return a.peak != b.peak ? a.peak > b.peak : box(a) < box(b);
  });
  if (regions.size() > kMostRegions) regions.resize(kMostRegions);
  return regions;
}

void FloorMap(const cv::Mat& seen, const Scale& scale, cv::Mat* map) {
  if (seen.empty() || cv::countNonZero(seen) == static_cast<int>(seen.total())) return;
  double coldest = 0, peak = 0;
  cv::minMaxLoc(*map, &coldest, &peak, nullptr, nullptr, cv::countNonZero(seen) > 0 ? seen : cv::Mat());
  map->setTo(std::min(coldest, static_cast<double>(Limit(peak, scale))), seen == 0);
}

std::string ToJson(const std::vector<Region>& regions) {
  std::string text;
  for (const Region& region : regions) {
    text += text.empty() ? "" : ",";
    text += "{\"box\":[" + std::to_string(region.box.x) + "," + std::to_string(region.box.y) + "," +
            std::to_string(region.box.width) + "," + std::to_string(region.box.height) +
            "],\"area\":" + std::to_string(region.area) + ",\"peak\":" + Number(region.peak) +
            ",\"normalised\":" + Number(region.normalised) + ",\"at\":[" + std::to_string(region.at.x) + "," +
            std::to_string(region.at.y) + "]}";
  }
  return "[" + text + "]";
}
