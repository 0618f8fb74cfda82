#include "beside.h"

#include <dlfcn.h>

std::filesystem::path Beside(const std::string& library, std::string* looked) {
  Dl_info self;
  if (dladdr(reinterpret_cast<void*>(&Beside), &self) == 0) return {};
  const std::filesystem::path here = std::filesystem::canonical(self.dli_fname).parent_path();
  for (const std::filesystem::path& folder : {here, (here / LIBRARIES).lexically_normal()}) {
    if (std::filesystem::exists(folder / library)) return folder / library;
    *looked += (looked->empty() ? "neither in " : " nor in ") + folder.string();
  }
  return {};
}

void* Loaded(const std::filesystem::path& library, const char* function) {
  void* const handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  return handle == nullptr ? nullptr : dlsym(handle, function);
}
