#include "onnxruntime_api.h"

#include <dlfcn.h>

#include <iterator>

#include "error.h"

namespace ort {

namespace {

struct Base {
  void* const* (*get_table)(uint32_t version);
  const char* (*get_version)();
};

constexpr size_t kGetErrorMessage = 2, kReleaseStatus = 93;

// Without the place in ONNX Runtime's own source and the kind of error, after which it goes on with ": ".
std::string Reason(const std::string& text) {
  const std::string mark = "[ONNXRuntimeError]";
  size_t at = text.find(mark);
  for (int i = 0; i < 3 && at != text.npos; ++i) at = text.find(" : ", at + 1);
  return OneLine(at == text.npos ? text : text.substr(at + 3));
}

}  // namespace

std::string TypeText(int type) {
  static const char* const names[] = {"",      "float32", "uint8",  "int8", "uint16",  "int16",
                                      "int32", "int64",   "string", "bool", "float16", "float64"};
  const bool known = type > 0 && type < static_cast<int>(std::size(names));
  return known ? names[type] : "type " + std::to_string(type);
}

Api::Api(const std::string& library) {
  void* handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  void* start = handle == nullptr ? nullptr : dlsym(handle, "OrtGetApiBase");
  if (start == nullptr) {
    throw Error("ONNX Runtime cannot be loaded (" + OneLine(dlerror()) +
                "): pip install onnxruntime and build again, or name its library in ONNXRUNTIME_LIBRARY");
  }
  const Base* base = reinterpret_cast<const Base* (*)()>(start)();
  version_ = base->get_version();
  // A version x.y has the interface y; asked for one that it does not have, it would print a line of its own.
  const size_t minor = version_.find('.');
  if (minor == version_.npos || std::stoul("0" + version_.substr(minor + 1)) < kVersion) {
    throw Error("ONNX Runtime " + version_ + " (" + library + ") is too old: 1." + std::to_string(kVersion) +
                " or newer is needed");
  }
  table_ = base->get_table(kVersion);
}

void Api::Check(Status* status) const {
  if (status == nullptr) return;
  const std::string reason = At<const char*(const Status*)>(kGetErrorMessage)(status);
  At<void(Status*)>(kReleaseStatus)(status);
  throw Error(Reason(reason));
}

}  // namespace ort
