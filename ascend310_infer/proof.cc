#include "proof.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>

#include "error.h"
#include "png.h"

namespace {

// As a part of the range of the map, as in anomaly/deploy/proof.py; float16, on an Ascend, was never measured.
const std::map<std::string, double> kAllowed = {
    {"float32", 0.002}, {"float16", 0.15}, {"bfloat16", 0.15}, {"int8", 0.1}};

std::vector<unsigned char> FromBase64(const std::string& text) {
  constexpr std::string_view kSigns = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::vector<unsigned char> data;
  uint32_t bits = 0;
  int count = 0;
  for (char sign : text) {
    if (sign == '=') break;
    const size_t value = kSigns.find(sign);
    if (value == kSigns.npos) throw Error("its proof has no picture");
    bits = bits << 6 | static_cast<uint32_t>(value);
    count += 6;
    if (count >= 8) data.push_back(static_cast<unsigned char>(bits >> (count -= 8)));
  }
  return data;
}

bool Within(const std::vector<int>& places, int side) {
  return !places.empty() &&
         std::all_of(places.begin(), places.end(), [side](int place) { return place >= 0 && place < side; });
}

std::string Text(const char* format, double value) {
  char text[40];
  std::snprintf(text, sizeof(text), format, value);
  return text;
}

}  // namespace

Proof Proof::Read(const nlohmann::json& json, int height, int width) {
  Proof proof;
  proof.picture = DecodePng(FromBase64(json.at("picture").get<std::string>()));
  json.at("score").get_to(proof.score);
  json.at("rows").get_to(proof.rows);
  json.at("columns").get_to(proof.columns);
  json.at("map").get_to(proof.map);
  if (proof.picture.size() != cv::Size(width, height)) throw Error("its proof has a picture of another size");
  if (!Within(proof.rows, height) || !Within(proof.columns, width) ||
      proof.map.size() != proof.rows.size() * proof.columns.size()) {
    throw Error("its proof has no map");
  }
  return proof;
}

void Proof::Require(const float* values, int width, float found, const std::string& precision) const {
  const auto [low, high] = std::minmax_element(map.begin(), map.end());
  const double range = *high - *low;
  const double extent = range > 0 ? range : std::max(std::abs(score), 1e-12);
  const double limit = kAllowed.at(precision);
  double off = 0;
  for (size_t place = 0; place < map.size() && !std::isnan(off); ++place) {
    const size_t y = rows[place / columns.size()], x = columns[place % columns.size()];
    const double difference = std::abs(values[y * width + x] - map[place]) / extent;
    if (!(difference <= off)) off = difference;  // what is no number is larger
  }
  if (off <= limit && std::abs(found - score) / extent <= limit) return;
  throw Error("gives other numbers here than the detector that it was exported from: its map is off by " +
              Text("%.2g", off) + " of its range, its score is " + Text("%.6g", found) + " instead of " +
              Text("%.6g", score) + " (" + precision + " allows " + Text("%g", limit) +
              "); a converter or a device has changed the model, export it again");
}
