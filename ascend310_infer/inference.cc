#include "inference.h"

#include <algorithm>
#include <iostream>
#include <memory>
#include <new>
#include <sstream>

#include "said.h"

Inference::Inference(const Args& args, const Settings& settings, const ModelInfo& info, Engine* engine)
    : args_(args),
      settings_(settings),
      info_(info),
      engine_(engine),
      judge_(args.model.string(), info, engine),
      results_(args.output, info, args.preprocess, args.json) {}

int Inference::Run(const std::vector<Input>& inputs) {
  WarmUp();
  const Stopwatch whole;
  const size_t together = judge_.Together();
  try {
    InOrder((inputs.size() + together - 1) / together, settings_.at_once, [&](size_t piece) {
      return Work(inputs, piece * together, std::min((piece + 1) * together, inputs.size()));
    });
  } catch (const Error&) {
    results_.KeepTable();
    throw;
  }
  const std::string times = Times(whole.Milliseconds());
  if (!args_.json) Say(times);
  results_.Finish(times);
  return code_;
}

Rest Inference::Work(const std::vector<Input>& inputs, size_t first, size_t last) {
  const Stopwatch watch;
  const auto outcomes = std::make_shared<std::vector<Outcome>>();
  std::vector<View> views;
  std::vector<size_t> places;  // of the photographs that can be read
  for (size_t i = first; i < last; ++i) {
    outcomes->push_back({inputs[i], "", {}});
    try {
      views.push_back(Read(inputs[i]));
      places.push_back(i - first);
    } catch (const Error& error) {
      outcomes->back().error = error.what();
    } catch (const std::bad_alloc&) {
      outcomes->back().error = inputs[i].path.string() + ": needs more memory than there is";
    } catch (const cv::Exception& error) {
      outcomes->back().error = inputs[i].path.string() + ": " + error.what();
    }
  }
  std::vector<double> runs;
  const std::vector<Found> found = views.empty() ? std::vector<Found>() : judge_.Run(views, &runs);
  for (size_t k = 0; k < found.size(); ++k) {
    Outcome& outcome = (*outcomes)[places[k]];
    try {
      outcome.judgement = judge_.Decide(found[k], views[k]);
    } catch (const Error& error) {
      outcome.error = outcome.input.path.string() + ": " + error.what();
      continue;
    }
    results_.WriteFiles(outcome.input.name, outcome.judgement, views[k]);
    outcome.judgement.map.release();
  }
  const double each = views.empty() ? 0 : watch.Milliseconds() / static_cast<double>(views.size());
  return [this, outcomes, runs, each, read = views.size()] {
    for (double run : runs) runs_.Add(run);
    for (size_t i = 0; i < read; ++i) images_.Add(each);
    for (const Outcome& outcome : *outcomes) Report(outcome);
  };
}

View Inference::Read(const Input& input) const {
  if (!args_.preprocess) return PlainView(ReadBin(input.path, info_.size));
  const cv::Mat photograph = ReadPhotograph(input.path);
  return MakeView(photograph, info_.roi.Of(input.path, photograph.size()), info_);
}

// The first runs allocate memory and choose kernels, each request for itself.
void Inference::WarmUp() {
  if (args_.warmup == 0) return;
  InOrder(settings_.at_once, settings_.at_once, [this](size_t) -> Rest {
    for (int i = 0; i < args_.warmup; ++i) judge_.WarmUp();
    return [] {};
  });
}

// Names the file, where the program goes on with the others.
void Inference::Report(const Outcome& outcome) {
  if (outcome.error.empty()) return results_.Add(outcome.input, outcome.judgement);
  results_.AddError(outcome.input, outcome.error);
  std::clog << "error: " << OneLine(outcome.error) << std::endl;
  code_ = 1;
}

std::string Inference::Times(double whole) const {
  std::ostringstream text;
  text << args_.model.filename().string() << " (" << info_.label << "), " << engine_->Name() << ", batch "
       << info_.batch_size << ", " << settings_.threads << " threads, " << settings_.at_once << " at once, "
       << "images: " << images_.Count() << ", " << args_.warmup << " warm-up runs\n";
  if (info_.random_backbone) {
    text << "RANDOM BACKBONE (no pretrained weights): these figures say nothing about the method\n";
  }
  if (!info_.remark.empty()) text << info_.remark << "\n";
  if (images_.Count() > 0) {
    text << "inference [ms]:    " << runs_.Line() << "\n"
         << "whole image [ms]:  " << images_.Line() << "\n"
         << "throughput [1/s]:  " << 1000 * static_cast<double>(images_.Count()) / whole << "\n";
  }
  return text.str();
}
