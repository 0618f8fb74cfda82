#include "model_info.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "error.h"
#include "files.h"

namespace {

using Json = nlohmann::json;

Size ReadSize(const Json& value) {
  const Size size{value.at(0).get<int>(), value.at(1).get<int>()};
  if (value.size() != 2 || size.height < 1 || size.width < 1) throw Error("a size is not [height, width]");
  return size;
}

Scale ReadScale(const Json& json, const char* threshold, const char* unit) {
  Scale scale;
  if (json.at(threshold).is_null()) return scale;
  scale.threshold = json.at(threshold).get<double>();
  scale.unit = json.at(unit).get<double>();
  if (!(scale.unit > 0)) throw Error(std::string(unit) + " is not above 0");
  return scale;
}

// What else there is to know of the way from a photograph to a picture.
void ReadViews(const Json& input, ModelInfo* info) {
  info->keep_aspect = input.value("keep_aspect", false);
  if (input.contains("tile")) {
    info->overlap = input.at("tile").at("overlap").get<double>();
    if (!(*info->overlap >= 0 && *info->overlap < 1)) throw Error("overlap is not a number from 0, below 1");
  }
  if (info->overlap && info->keep_aspect) throw Error("tile and keep_aspect exclude each other");
  if ((info->overlap || info->keep_aspect) && info->size != info->resize) {
    throw Error("crop goes neither with tile nor with keep_aspect");
  }
  info->roi = RegionOfInterest(input.value("roi", std::string()));
}

ModelInfo Parse(const Json& json) {
  const Json& version = json.at("format_version");
  if (version != 1 && version != 2) throw Error("its format_version is not 1 or 2; build a newer anomaly_infer");
  const Json& input = json.at("input");
  if (input.at("type") != "uint8" || input.at("layout") != "NHWC" || input.at("colour") != "RGB") {
    throw Error("the model's input is not uint8 NHWC RGB");
  }
  ModelInfo info;
  info.label = json.at("method").get<std::string>() + ", " + json.at("category").get<std::string>() + ", " +
               json.at("backbone").get<std::string>();
  info.random_backbone = json.at("random_backbone").get<bool>();
  info.remark = json.value("remark", "");
  info.resize = ReadSize(input.at("resize"));
  info.size = ReadSize(input.at("size"));
  const Size kept = input.at("crop").is_null() ? info.resize : ReadSize(input.at("crop"));
  if (kept != info.size) throw Error("size does not follow from resize and crop");
  if (kept.height > info.resize.height || kept.width > info.resize.width) throw Error("crop is larger than resize");
  ReadViews(input, &info);
  info.any_batch = input.at("batch_size") == "dynamic";
  if (!info.any_batch) info.batch_size = input.at("batch_size").get<int>();
  if (info.batch_size < 1) throw Error("batch_size is below 1");
  info.map = ReadSize(json.at("outputs").at("map").at("shape"));
  if (info.map != info.size) throw Error("the map has another size than the input");
  const std::string precision = json.value("precision", "float32");
  if (precision != "float32" && precision != "bfloat16" && precision != "int8") {
    throw Error("computes in " + precision + ", which is not known here; build a newer anomaly_infer");
  }
  info.precision = info.exported_precision = precision;
  if (json.contains("proof")) info.proof = Proof::Read(json.at("proof"), info.size.height, info.size.width);
  info.image = ReadScale(json, "threshold", "unit");
  info.pixel = ReadScale(json, "pixel_threshold", "pixel_unit");
  return info;
}

// The checksum is of the file with zeros in its place; what an earlier version wrote has none.
void RequireWhole(const Json& json, const std::vector<unsigned char>& text) {
  if (!json.contains("checksum")) {
    // A proof came with the checksum: where one is without the other, somebody took it away.
    if (json.contains("proof")) throw Error("has lost its checksum; export the model again");
    return;
  }
  const std::string written = json.at("checksum").get<std::string>();
  const std::string blank(64, '0');
  std::string content(text.begin(), text.end());
  const size_t place = content.find(written);
  if (place != content.npos) content.replace(place, written.size(), blank);
  if (Sha256Of({content.begin(), content.end()}) != written) {
    throw Error("changed since it was written (checksum differs); export the model again");
  }
}

}  // namespace

double Scale::Normalise(double score) const {
  const double u = (score - threshold.value()) / unit;
  return 0.5 + 0.5 * u / (1 + std::abs(u));
}

const char* Scale::Verdict(double score) const {
  if (!threshold) return "UNKNOWN";
  return score > *threshold ? "ANOMALOUS" : "NORMAL";
}

ModelInfo ReadModelInfo(const std::filesystem::path& model) {
  if (!std::filesystem::is_regular_file(model)) throw Error(model.string() + ": no such file");
  std::filesystem::path path = model;
  path.replace_extension(".json");
  if (!std::filesystem::exists(path)) {
    throw Error(path.string() + ": no such file; export.py writes a model and its .json side by side");
  }
  const std::vector<unsigned char> text = ReadFile(path);
  ModelInfo info;
  std::string expected;
  try {
    const Json json = Json::parse(text);
    RequireWhole(json, text);
    info = Parse(json);
    expected = json.at("sha256").value(model.extension().string().substr(1), std::string());
  } catch (const Json::exception& error) {
    throw Error(path.string() + ": not the description of a model (" + OneLine(error.what()) + ")");
  } catch (const Error& error) {
    throw Error(path.string() + ": " + error.what());
  }
  // A .mindir that another program has converted may lie beside the .json of the .onnx that it was made from.
  if ((model.extension() == ".onnx" || !expected.empty()) && Sha256Of(ReadFile(model)) != expected) {
    throw Error(model.string() + ": is not the file that " + path.filename().string() +
                " was written for (sha256 differs); export it again");
  }
  info.checksum = expected;
  return info;
}
