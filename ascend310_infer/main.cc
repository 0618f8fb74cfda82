// Judges images with an exported model: see README.md.

#include <malloc.h>

#include <algorithm>
#include <iostream>
#include <opencv2/core.hpp>
#include <opencv2/core/utils/logger.hpp>

#include "args.h"
#include "exit_code.h"
#include "inference.h"
#include "opening.h"
#include "said.h"

namespace {

constexpr int kMore = 2;
constexpr int kMostOfTiles = 4;  // photographs of tiles may be large, and each of them is whole in memory

// As many pieces of work at the same time as keep all threads busy, unless it is said how many: a system may let two
// wait for one core while another has nothing to do, so there are more than cores.
int AtOnce(int wanted, int threads, const ModelInfo& info, size_t photographs) {
  const size_t together = info.overlap ? 1 : static_cast<size_t>(info.batch_size);
  const size_t pieces = (photographs + together - 1) / together;
  const int most = wanted > 0 ? wanted : info.overlap ? std::min(threads, kMostOfTiles) : threads + kMore;
  return static_cast<int>(std::clamp<size_t>(pieces, 1, most));
}

// Photographs come and go; their memory is kept for the next one instead of being asked for each time.
void KeepMemory() {
  mallopt(M_MMAP_THRESHOLD, 1 << 28);
  mallopt(M_TRIM_THRESHOLD, 1 << 28);
}

int Run(const Args& args) {
  const ModelInfo info =
      args.preprocess ? ReadInfo(args.model, args.settings) : ReadInfoForPrepared(args.model, args.settings);
  if (args.asks_for_proof && !info.proof) {
    std::clog << "note: " << args.model.string() << " was exported before models had a proof; it is run without one\n";
  }
  const std::vector<Input> inputs = FindInputs(args.input, args.output, args.preprocess);
  Settings settings = Complete(args.settings, args.model);
  settings.at_once = AtOnce(args.settings.at_once, settings.threads, info, inputs.size());
  cv::setNumThreads(std::max(1, settings.threads / settings.at_once));
  const std::unique_ptr<Engine> engine = OpenEngine(args.model, info, settings);
  return Inference(args, settings, info, engine.get()).Run(inputs);
}

int Ended(int argc, char** argv) {
  const Args args = ParseArgs(argc, argv);
  if (!args.output.empty() || args.help) OutliveReader();  // what is written does not depend on who reads
  if (!args.help) return Run(args);
  Say(kUsage);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  // What a decoder thinks of a bad file is said in this program's own line, to std::clog; libraries, whose threads would
  // break such lines up, write to std::cerr.
  cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
  std::cerr.setstate(std::ios_base::badbit);
  MendStreams();
  KeepMemory();
  return ExitCode([&] {
    const int code = Ended(argc, argv);
    if (!Unsaid().empty()) throw Error("standard output: cannot be written: " + Unsaid());
    return code;
  });
}
