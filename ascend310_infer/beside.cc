#include "beside.h"

#include <dlfcn.h>

#include <cstdint>
#include <fstream>
#include <sstream>

namespace {

// The folder of the program or library that this is a part of, from what the system has mapped: the name by which it
// was called may be relative, to a folder that is no longer the current one, or found on PATH.
std::filesystem::path Here() {
  const auto self = reinterpret_cast<uintptr_t>(&Here);
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    std::istringstream words(line);
    uintptr_t first = 0, last = 0;
    char dash = 0;
    words >> std::hex >> first >> dash >> last;
    const size_t path = line.find('/');
    if (first <= self && self < last && path != std::string::npos) {
      return std::filesystem::path(line.substr(path)).parent_path();
    }
  }
  return {};
}

}  // namespace

std::filesystem::path Beside(const std::string& library, std::string* looked) {
  const std::filesystem::path here = Here();
  if (here.empty()) return {};
  for (const std::filesystem::path& folder : {here, (here / LIBRARIES).lexically_normal()}) {
    std::error_code failed;
    if (std::filesystem::exists(folder / library, failed)) return folder / library;
    *looked += (looked->empty() ? "neither in " : " nor in ") + folder.string();
  }
  return {};
}

void* Loaded(const std::filesystem::path& library, const char* function) {
  void* const handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  return handle == nullptr ? nullptr : dlsym(handle, function);
}
