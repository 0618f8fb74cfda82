// Makes a .mindir for MindSpore Lite out of an exported .onnx: see README.md.

#include <unistd.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "error.h"
#include "exit_code.h"
#include "files.h"
#include "lite_converter.h"

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr char kUsage[] =
    "Usage: anomaly_convert --model X.onnx [--output X_lite.mindir] [--device cpu|ascend]\n"
    "\n"
    "  --model    the exported model; its .json and its .lite.cfg, which were exported with it, lie beside it\n"
    "  --output   the model for MindSpore Lite, which gets a .json of its own\n"
    "  --device   what it is to run on; ascend needs CANN, and a device of the same kind here\n";

struct Args {
  fs::path model;
  fs::path output;
  std::string device = "cpu";
  bool help = false;
};

Args ParseArgs(int argc, char** argv) {
  Args args;
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    if (option == "-h" || option == "--help") {
      args.help = true;
      return args;
    }
    if (option != "--model" && option != "--output" && option != "--device") {
      throw UsageError("unknown argument '" + option + "'");
    }
    const std::string value = ++i < argc ? argv[i] : "";
    if (value.empty() || value.rfind("--", 0) == 0) throw UsageError(option + " needs a value");
    if (option == "--model") args.model = value;
    if (option == "--output") args.output = value;
    if (option == "--device") args.device = value;
  }
  if (args.model.empty()) throw UsageError("--model is missing");
  if (args.model.extension() != ".onnx") throw UsageError("--model is a .onnx, not '" + args.model.string() + "'");
  if (args.output.empty()) args.output = args.model.parent_path() / (args.model.stem().string() + "_lite.mindir");
  if (args.output.extension() != ".mindir") {
    throw UsageError("--output is a .mindir, not '" + args.output.string() + "'");
  }
  if (args.device != "cpu" && args.device != "ascend") {
    throw UsageError("--device is cpu or ascend, not '" + args.device + "'");
  }
  return args;
}

fs::path Beside(fs::path model, const char* ending) { return model.replace_extension(ending); }

// What the exporter wrote beside the model.
Json ReadDescription(const fs::path& model) {
  const fs::path path = Beside(model, ".json");
  try {
    Json json = Json::parse(ReadFile(path));
    if (json.at("sha256").value("onnx", std::string()) != Sha256Of(ReadFile(model))) {
      throw Error(model.string() + ": is not the file that " + path.filename().string() +
                  " was written for (sha256 differs); export it again");
    }
    if (json.value("precision", std::string("float32")) == "int8") {
      throw Error(model.string() + ": is in int8, which MindSpore Lite's converter does not take; train in float32");
    }
    return json;
  } catch (const Json::exception& error) {
    throw Error(path.string() + ": not the description of a model (" + OneLine(error.what()) + ")");
  }
}

// A batch of any size becomes one of 1: Lite's models for Ascend have to know it.
void FixBatch(Json* json, Conversion* conversion) {
  Json& input = json->at("input");
  if (input.at("batch_size") != "dynamic") return;
  input["batch_size"] = 1;
  const Json& size = input.at("size");
  conversion->shapes[input.at("name").get<std::string>()] = {1, size.at(0).get<int64_t>(), size.at(1).get<int64_t>(), 3};
}

// The text of a description; its checksum is that of the text with zeros in its place.
std::string WithChecksum(Json json) {
  if (!json.contains("checksum")) return json.dump(2) + "\n";
  json["checksum"] = std::string(64, '0');
  const std::string text = json.dump(2) + "\n";
  json["checksum"] = Sha256Of({text.begin(), text.end()});
  return json.dump(2) + "\n";
}

// A folder that is gone at the end, whatever happens.
class Scratch {
 public:
  explicit Scratch(const fs::path& parent) : path_(parent / (".convert." + std::to_string(getpid()))) {
    std::error_code failed;
    fs::create_directories(path_, failed);
    if (failed) throw OutputError(path_.string() + ": cannot be written (" + failed.message() + ")");
  }
  ~Scratch() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

void Run(const Args& args) {
  const fs::path config = Beside(args.model, ".lite.cfg");
  Json json = ReadDescription(args.model);
  if (!fs::is_regular_file(config)) throw Error(config.string() + ": no such file; export the model again");
  // Lite resolves paths on its own, and makes its file readable for the user alone.
  Conversion conversion{fs::absolute(args.model), fs::absolute(config), args.device == "ascend", {}};
  FixBatch(&json, &conversion);
  const Scratch scratch(fs::absolute(args.output).parent_path());
  try {
    ConvertWithLite(conversion, scratch.path() / "model");
  } catch (const Error& error) {
    throw Error(args.model.string() + ": " + error.what());
  }
  const fs::path made = scratch.path() / "model.mindir";
  if (!fs::is_regular_file(made)) throw Error(args.model.string() + ": is too large for one .mindir");
  fs::permissions(made, fs::perms(0644));
  json["sha256"] = {{"mindir", Sha256Of(ReadFile(made))}};
  const std::string text = WithChecksum(json);
  WriteFile(Beside(args.output, ".json"), text.data(), text.size());
  fs::rename(made, args.output);
}

}  // namespace

int main(int argc, char** argv) {
  return ExitCode([&] {
    const Args args = ParseArgs(argc, argv);
    if (args.help) {
      std::cout << kUsage;
      return 0;
    }
    Run(args);
    std::cout << "written: " << args.output.string() << std::endl;
    return 0;
  });
}
