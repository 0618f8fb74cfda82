// Whatever stands in a file, its reader makes sense of it or throws Error: for libFuzzer, see scripts/run_fuzz.sh.
// READER in the environment says which one is tried: photographs (and masks), descriptions (of models), prepared.

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <opencv2/core/utils/logger.hpp>

#include "error.h"
#include "image_io.h"
#include "model_info.h"
#include "view.h"

namespace fs = std::filesystem;

namespace {

void Write(const fs::path& path, const uint8_t* data, size_t size) {
  std::ofstream(path, std::ios::binary).write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
}

// A place in memory, with a model beside whose description is tried.
fs::path Folder() {
  cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
  static const fs::path folder = fs::path("/dev/shm") / ("readers." + std::to_string(getpid()));
  fs::create_directories(folder);
  Write(folder / "model.onnx", nullptr, 0);
  std::atexit([] { fs::remove_all(folder); });
  return folder;
}

template <typename Read>
void Try(Read read) {
  try {
    read();
  } catch (const Error& error) {
    const std::string reason = error.what();
    if (reason.empty() || reason.find('\n') != reason.npos) {
      std::cerr << "not one line: " << reason << std::endl;
      std::abort();
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const fs::path folder = Folder();
  static const std::string reader = std::getenv("READER");
  if (reader == "photographs") {
    Write(folder / "photograph", data, size);
    Try([] { ReadPhotograph(folder / "photograph"); });
    Try([] { ReadMask(folder / "photograph"); });
  } else if (reader == "descriptions") {
    Write(folder / "model.json", data, size);
    Try([] {
      const ModelInfo info = ReadModelInfo(folder / "model.onnx");
      if (info.resize.height > 512 || info.resize.width > 512) return;
      MakeView(cv::Mat::zeros(30, 40, CV_8UC3), {}, info);
    });
  } else {
    Write(folder / "photograph.bin", data, size);
    Try([] { ReadBin(folder / "photograph.bin", {4, 5}); });
  }
  return 0;
}
