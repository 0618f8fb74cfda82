// What the engines share; a part of the program and of the library of MindSpore Lite's engine.

#include <cstdio>

#include "engine.h"
#include "error.h"

std::string ShapeText(const std::vector<int64_t>& shape) {
  std::string text;
  for (int64_t side : shape) text += (text.empty() ? "" : "x") + (side < 0 ? "?" : std::to_string(side));
  return text.empty() ? "a single number" : text;
}

Places FindOutputs(const std::vector<std::vector<int64_t>>& shapes, const ModelInfo& info) {
  const int64_t batch = info.batch_size;
  const std::vector<int64_t> map = {batch, info.map.height, info.map.width};
  std::vector<size_t> maps, scores;
  std::string found;
  for (size_t i = 0; i < shapes.size(); ++i) {
    found += (i == 0 ? "" : " and ") + ShapeText(shapes[i]);
    if (shapes[i] == map) maps.push_back(i);
    if (shapes[i] == std::vector<int64_t>{batch} || shapes[i] == std::vector<int64_t>{batch, 1}) scores.push_back(i);
  }
  if (maps.size() == 1 && (scores.size() == 1 || scores.size() == 2) && maps.size() + scores.size() == shapes.size()) {
    return {maps[0], scores[0]};
  }
  throw Error("gives " + found + " instead of a map " + ShapeText(map) + " and a score " + ShapeText({batch}));
}

void WithoutBfloat16(const std::string& engine, const Settings& settings, const ModelInfo& info) {
  if (info.precision != "bfloat16") return;
  if (settings.precision == "bf16") throw Error("--precision bf16: " + engine + " computes in float32 here");
  std::fprintf(stderr, "note: no bfloat16 in %s: in float32, with slightly other scores\n", engine.c_str());
}
