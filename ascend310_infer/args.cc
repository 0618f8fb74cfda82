#include "args.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "error.h"

const char kUsage[] =
    "Usage: anomaly_infer --model X.mindir|X.onnx --input FOLDER|FILE --output FOLDER\n"
    "                     [--json] [--device ascend|gpu|cpu] [--device_id 0]\n"
    "                     [--engine auto|openvino|onnxruntime|tensorrt|lite] [--engine_cache FOLDER]\n"
    "                     [--precision f32|f16|bf16|int8]\n"
    "                     [--threads N] [--at_once N] [--batch N] [--preprocess y|n] [--warmup 10] [--roi FOLDER]\n"
    "                     [--self_check y|n]\n"
    "\n"
    "  --model       the exported model; the .json that was exported with it lies beside it\n"
    "  --input       photographs, or with --preprocess n the .bin files of preprocess.py\n"
    "  --output      maps, heat maps, results.csv and test_perform_static.txt; with --json it may be left out\n"
    "  --json        a JSON object for each photograph on standard output, a line each, and nothing else\n"
    "  --device      cpu is the default for .onnx, ascend for .mindir\n"
    "  --device_id   which Ascend or GPU\n"
    "  --engine      what runs a .onnx: openvino (cpu, Intel's gpu), onnxruntime (cpu, NVIDIA's gpu) or tensorrt (NVIDIA's\n"
    "                gpu), or a .mindir: lite; auto (default): openvino where the program has it, else onnxruntime\n"
    "  --engine_cache  where tensorrt keeps what it makes of a model; default: a folder beside the model\n"
    "  --precision   in which to compute, where the model leaves that open (f16: Ascend, tensorrt); default: as it was exported\n"
    "  --threads     cores to use; default: all that this process may use\n"
    "  --at_once     photographs in work at the same time; default: two more than threads, of tiles at most 4;\n"
    "                1 has each done as soon as possible, more get more done\n"
    "  --batch       pictures that the model takes together, if it was exported with --batch_size dynamic; default: 1\n"
    "  --preprocess  y: read and resize photographs (default); n: take them as they are in .bin files\n"
    "  --warmup      runs of the model before time is taken\n"
    "  --self_check  y: the model has to give for a known picture what it gave when it was exported (default);\n"
    "                n: it is run all the same\n"
    "  --roi         masks of where to look, each named as its photograph, for models that have one for each\n";

namespace {

using Take = std::function<void(const std::string& value)>;

Take Path(std::filesystem::path* place) {
  return [place](const std::string& value) { *place = value; };
}

Take NumberFrom(int least, const char* option, int* place, int most = std::numeric_limits<int>::max()) {
  return [=](const std::string& text) {
    const char* end = text.data() + text.size();
    const auto found = std::from_chars(text.data(), end, *place);
    if (found.ec != std::errc() || found.ptr != end || *place < least || *place > most) {
      const std::string to = most == kMostAtOnce ? " to " + std::to_string(most) : "";
      throw UsageError(std::string(option) + " takes a whole number from " + std::to_string(least) + to + ", not '" +
                       text + "'");
    }
  };
}

Take OneOf(std::vector<std::string> known, const char* option, std::string* place) {
  return [=](const std::string& value) {
    std::string words;
    for (size_t i = 0; i < known.size(); ++i) {
      words += (i == 0 ? "" : i + 1 == known.size() ? " or " : ", ") + known[i];
    }
    if (std::find(known.begin(), known.end(), value) == known.end()) {
      throw UsageError(std::string(option) + " is " + words + ", not '" + value + "'");
    }
    *place = value;
  };
}

void RequireWhole(const Args& args) {
  if (args.model.empty()) throw UsageError("--model is missing");
  if (args.input.empty()) throw UsageError("--input is missing");
  if (args.output.empty() && !args.json) throw UsageError("--output is missing");
  if (args.model.extension() != ".onnx" && args.model.extension() != ".mindir") {
    throw UsageError("--model is a .mindir or a .onnx, not '" + args.model.string() + "'");
  }
}

}  // namespace

Args ParseArgs(int argc, char** argv) {
  Args args;
  Settings& settings = args.settings;
  std::string preprocess, self_check;
  const std::map<std::string, Take> options = {
      {"--model", Path(&args.model)},
      {"--input", Path(&args.input)},
      {"--output", Path(&args.output)},
      {"--roi", Path(&settings.roi)},
      {"--engine", OneOf({"auto", "openvino", "onnxruntime", "tensorrt", "lite"}, "--engine", &settings.engine)},
      {"--engine_cache", Path(&settings.engine_cache)},
      {"--device", OneOf({"ascend", "gpu", "cpu"}, "--device", &settings.device)},
      {"--device_id", NumberFrom(0, "--device_id", &settings.device_id)},
      {"--precision", OneOf({"f32", "f16", "bf16", "int8"}, "--precision", &settings.precision)},
      {"--threads", NumberFrom(1, "--threads", &settings.threads, kMostAtOnce)},
      {"--at_once", NumberFrom(1, "--at_once", &settings.at_once, kMostAtOnce)},
      {"--batch", NumberFrom(1, "--batch", &settings.batch)},
      {"--preprocess", OneOf({"y", "n"}, "--preprocess", &preprocess)},
      {"--self_check", OneOf({"y", "n"}, "--self_check", &self_check)},
      {"--warmup", NumberFrom(0, "--warmup", &args.warmup)},
  };
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    if (option == "-h" || option == "--help") {
      args.help = true;
      return args;
    }
    if (option == "--json") {
      args.json = true;
      continue;
    }
    const auto known = options.find(option);
    if (known == options.end()) throw UsageError("unknown argument '" + option + "'");
    const bool given = i + 1 < argc && std::strncmp(argv[i + 1], "--", 2) != 0 && argv[i + 1][0] != '\0';
    if (!given) throw UsageError(option + " needs a value");
    known->second(argv[++i]);
  }
  args.preprocess = preprocess != "n";
  settings.self_check = self_check != "n";
  args.asks_for_proof = self_check == "y";
  RequireWhole(args);
  return args;
}
