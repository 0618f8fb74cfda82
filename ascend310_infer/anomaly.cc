#include "anomaly.h"

#include <cmath>
#include <cstddef>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "error.h"
#include "image_io.h"
#include "judge.h"
#include "opening.h"

struct anomaly_model {
  anomaly_model(const std::filesystem::path& path, const Settings& settings)
      : info(ReadInfo(path, settings)),
        engine(OpenEngine(path, info, Complete(settings, path))),
        judge(path.string(), info, engine.get()),
        runs_on(engine->Name()) {
    if (!info.proof) judge.WarmUp();
  }

  ModelInfo info;
  std::unique_ptr<Engine> engine;
  Judge judge;
  std::string runs_on;
};

namespace {

thread_local std::string message;

// What a result points to lives in it.
struct Result : anomaly_result {
  cv::Mat kept_map;
  std::vector<anomaly_region> kept_regions;
};

// What `work` returns; or NULL, and the message.
template <typename Work>
auto Guarded(const Work& work) noexcept -> decltype(work()) {
  try {
    message.clear();
    return work();
  } catch (const std::exception& error) {
    try {
      message = OneLine(error.what());
    } catch (const std::exception&) {  // out of memory; the message stays empty
    }
  }
  return nullptr;
}

Settings SettingsOf(const anomaly_options* options) {
  Settings settings;
  if (options == nullptr) return settings;
  const bool former = options->size == offsetof(anomaly_options, engine);
  if (options->size != sizeof(anomaly_options) && !former) {
    throw Error("anomaly_options: its size is not sizeof(anomaly_options)");
  }
  const auto text = [](const char* value) { return std::string(value == nullptr ? "" : value); };
  settings.device = text(options->device);
  settings.device_id = options->device_id;
  settings.precision = text(options->precision);
  settings.threads = options->threads;
  settings.at_once = options->at_once;
  settings.roi = text(options->roi);
  if (!former) settings.engine = text(options->engine);
  RequireKnown(settings);
  return settings;
}

anomaly_verdict VerdictOf(const Judgement& judgement) {
  for (const anomaly_verdict each : {ANOMALY_NORMAL, ANOMALY_ANOMALOUS}) {
    if (judgement.verdict == std::string(anomaly_verdict_text(each))) return each;
  }
  return ANOMALY_UNKNOWN;
}

anomaly_result* ResultOf(const Judgement& judgement, const ModelInfo& info) {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  auto result = std::make_unique<Result>();
  result->verdict = VerdictOf(judgement);
  result->score = judgement.score;
  result->normalised = judgement.normalised.value_or(kNone);
  result->threshold = info.image.threshold.value_or(kNone);
  result->kept_map = judgement.map;
  result->map_height = judgement.map.rows;
  result->map_width = judgement.map.cols;
  result->map = judgement.map.ptr<float>();
  for (const Region& region : judgement.regions) {
    result->kept_regions.push_back({region.box.x, region.box.y, region.box.width, region.box.height, region.area,
                                    region.peak, region.normalised, region.at.x, region.at.y});
  }
  result->region_count = result->kept_regions.size();
  result->regions = result->kept_regions.data();
  return result.release();
}

// `path`: what an error calls the photograph, and by which a mask of its own is found.
anomaly_result* JudgePhotograph(const anomaly_model& model, const cv::Mat& photograph, const std::string& path) {
  const View view = MakeView(photograph, model.info.roi.Of(path, photograph.size()), model.info);
  std::vector<double> runs;
  const Found found = model.judge.Run({view}, &runs).at(0);
  try {
    return ResultOf(model.judge.Decide(found, view), model.info);
  } catch (const Error& error) {
    throw Error(path + ": " + error.what());
  }
}

}  // namespace

int anomaly_api_version(void) { return ANOMALY_API_VERSION; }

anomaly_model* anomaly_load(const char* path, const anomaly_options* options) {
  return Guarded([&]() -> anomaly_model* {
    if (path == nullptr) throw Error("anomaly_load: no path is given");
    return new anomaly_model(path, SettingsOf(options));
  });
}

const char* anomaly_runs_on(const anomaly_model* model) { return model == nullptr ? "" : model->runs_on.c_str(); }

anomaly_result* anomaly_judge_file(anomaly_model* model, const char* path) {
  return Guarded([&] {
    if (model == nullptr || path == nullptr) throw Error("anomaly_judge_file: no model or no path is given");
    return JudgePhotograph(*model, ReadPhotograph(path), path);
  });
}

anomaly_result* anomaly_judge_pixels(anomaly_model* model, const uint8_t* rgb, int height, int width, size_t stride) {
  return Guarded([&] {
    if (model == nullptr || rgb == nullptr) throw Error("anomaly_judge_pixels: no model or no pixels are given");
    const bool sized = height > 0 && width > 0 && (stride == 0 || stride >= 3 * static_cast<size_t>(width));
    if (!sized) throw Error("anomaly_judge_pixels: these pixels have no such height, width and stride");
    if (!model->info.roi.Folder().empty()) {
      throw Error("anomaly_judge_pixels: the model has a region for each photograph, by its name; judge files");
    }
    const size_t step = stride == 0 ? 3 * static_cast<size_t>(width) : stride;
    const cv::Mat given(height, width, CV_8UC3, const_cast<uint8_t*>(rgb), step);
    return JudgePhotograph(*model, given.clone(), "the photograph");
  });
}

const char* anomaly_message(void) { return message.c_str(); }

const char* anomaly_verdict_text(anomaly_verdict verdict) {
  return verdict == ANOMALY_NORMAL ? "NORMAL" : verdict == ANOMALY_ANOMALOUS ? "ANOMALOUS" : "UNKNOWN";
}

void anomaly_free_result(anomaly_result* result) { delete static_cast<Result*>(result); }

void anomaly_free(anomaly_model* model) { delete model; }
