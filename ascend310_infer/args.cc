#include "args.h"

#include <charconv>
#include <cstring>

#include "error.h"

const char kUsage[] =
    "Usage: anomaly_infer --model X.mindir|X.onnx --input FOLDER|FILE --output FOLDER\n"
    "                     [--device ascend|gpu|cpu] [--device_id 0] [--preprocess y|n] [--warmup 10]\n"
    "                     [--roi FOLDER]\n"
    "\n"
    "  --model       the exported model; the .json that was exported with it lies beside it\n"
    "  --input       photographs, or with --preprocess n the .bin files of preprocess.py\n"
    "  --output      maps, heat maps, results.csv and test_perform_static.txt\n"
    "  --device      cpu is the default for .onnx, ascend for .mindir\n"
    "  --device_id   which Ascend or GPU\n"
    "  --preprocess  y: read and resize photographs (default); n: take them as they are in .bin files\n"
    "  --warmup      runs of the model before time is taken\n"
    "  --roi         masks of where to look, each named as its photograph, for models that have one for each\n";

namespace {

int NumberOf(const std::string& option, const std::string& text) {
  int value = 0;
  const char* end = text.data() + text.size();
  const auto found = std::from_chars(text.data(), end, value);
  if (found.ec != std::errc() || found.ptr != end || value < 0) {
    throw UsageError(option + " takes a whole number from 0, not '" + text + "'");
  }
  return value;
}

}  // namespace

Args ParseArgs(int argc, char** argv) {
  Args args;
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    if (option == "-h" || option == "--help") {
      args.help = true;
      return args;
    }
    const bool known = option == "--model" || option == "--input" || option == "--output" || option == "--device" ||
                       option == "--device_id" || option == "--preprocess" || option == "--warmup" ||
                       option == "--roi";
    if (!known) throw UsageError("unknown argument '" + option + "'");
    if (i + 1 == argc || std::strncmp(argv[i + 1], "--", 2) == 0) throw UsageError(option + " needs a value");
    const std::string value = argv[++i];
    if (value.empty()) throw UsageError(option + " needs a value");
    if (option == "--model") {
      args.model = value;
    } else if (option == "--input") {
      args.input = value;
    } else if (option == "--output") {
      args.output = value;
    } else if (option == "--roi") {
      args.roi = value;
    } else if (option == "--device") {
      if (value != "ascend" && value != "gpu" && value != "cpu") {
        throw UsageError("--device is ascend, gpu or cpu, not '" + value + "'");
      }
      args.device = value;
    } else if (option == "--device_id") {
      args.device_id = NumberOf(option, value);
    } else if (option == "--preprocess") {
      if (value != "y" && value != "n") throw UsageError("--preprocess is y or n, not '" + value + "'");
      args.preprocess = value == "y";
    } else {
      args.warmup = NumberOf(option, value);
    }
  }
  if (args.model.empty()) throw UsageError("--model is missing");
  if (args.input.empty()) throw UsageError("--input is missing");
  if (args.output.empty()) throw UsageError("--output is missing");
  if (args.model.extension() != ".onnx" && args.model.extension() != ".mindir") {
    throw UsageError("--model is a .mindir or a .onnx, not '" + args.model.string() + "'");
  }
  if (args.device.empty()) args.device = args.model.extension() == ".onnx" ? "cpu" : "ascend";
  return args;
}
