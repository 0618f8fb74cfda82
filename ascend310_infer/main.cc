// Judges images with an exported model: see README.md.

#include <iostream>
#include <opencv2/core/utils/logger.hpp>

#include "args.h"
#include "engine.h"
#include "error.h"
#include "inference.h"

namespace {

// The options must be those that the model is for, and its regions must be there.
void FitTogether(const Args& args, ModelInfo* info) {
  const std::string model = args.model.string();
  if (!args.preprocess) {
    if (info->overlap) {
      throw Error(model + ": a model of tiles takes photographs as they are: give them with --preprocess y");
    }
    if (!args.roi.empty()) throw Error("--roi: what preprocess.py has written is painted already; leave it out");
    return;
  }
  const std::filesystem::path folder = info->roi.Folder();
  if (!args.roi.empty()) {
    if (folder.empty()) throw Error(model + ": has no region for each photograph in a folder; leave --roi out");
    if (!std::filesystem::is_directory(args.roi)) throw Error(args.roi.string() + ": no such folder");
    info->roi.UseFolder(args.roi);
  } else if (!folder.empty() && !std::filesystem::is_directory(folder)) {
    throw Error(model + ": has a region for each photograph, in " + folder.string() +
                ", which is not here; --roi names the folder");
  }
}

}  // namespace

int main(int argc, char** argv) {
  // What a decoder thinks of a bad file is said in this program's own line.
  cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
  try {
    const Args args = ParseArgs(argc, argv);
    if (args.help) {
      std::cout << kUsage;
      return 0;
    }
    ModelInfo info = ReadModelInfo(args.model);
    FitTogether(args, &info);
    const std::vector<Input> inputs = FindInputs(args.input, args.output, args.preprocess);
    const std::unique_ptr<Engine> engine = MakeEngine(args.device, args.device_id, args.model);
    try {
      engine->Load(args.model, info);
    } catch (const Error& error) {
      throw Error(args.model.string() + ": " + error.what());
    }
    return Inference(args, info, engine.get()).Run(inputs);
  } catch (const UsageError& error) {
    std::cerr << "error: " << error.what() << "\n" << kUsage;
    return 2;
  } catch (const std::exception& error) {
    std::cerr << "error: " << OneLine(error.what()) << std::endl;
    return 1;
  }
}
