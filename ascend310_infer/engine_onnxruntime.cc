#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>

#include "engine.h"
#include "error.h"
#include "onnxruntime_api.h"

namespace {

// Where the library is: as the environment says, else where it was when this was built, else where the loader looks.
std::string Library() {
  const char* named = std::getenv("ONNXRUNTIME_LIBRARY");
  if (named != nullptr && *named != '\0') return named;
  return std::filesystem::exists(ONNXRUNTIME_LIBRARY) ? ONNXRUNTIME_LIBRARY : "libonnxruntime.so";
}

// The libraries of CUDA 13 and TensorRT 10, each after those that it needs. The loader does not look into Python's
// packages; but it takes a library that is loaded already for one of the same name.
void LoadFromPackages(const std::filesystem::path& library) {
  const std::filesystem::path packages = library.parent_path().parent_path().parent_path();
  for (const char* each :
       {"nvidia/cu13/lib/libcudart.so.13", "nvidia/cu13/lib/libnvrtc.so.13", "nvidia/cu13/lib/libnvJitLink.so.13",
        "nvidia/cu13/lib/libcublasLt.so.13", "nvidia/cu13/lib/libcublas.so.13", "nvidia/cu13/lib/libcufft.so.12",
        "nvidia/cu13/lib/libcurand.so.10", "nvidia/cudnn/lib/libcudnn.so.9", "tensorrt_libs/libnvinfer.so.10",
        "tensorrt_libs/libnvonnxparser.so.10"}) {
    dlopen((packages / each).c_str(), RTLD_NOW | RTLD_GLOBAL);
  }
}

// Names and values of options, as the library takes them.
struct Pairs {
  std::vector<const char*> names, values;

  void Add(const char* name, const std::string& value) {
    names.push_back(name);
    values.push_back(value.c_str());
  }
};

class OnnxRuntimeEngine : public Engine {
 public:
  explicit OnnxRuntimeEngine(const Settings& settings)
      : settings_(settings),
        api_(Library()),
        env_(api_.Make(ort::kCreateEnv, ort::kSilent, "anomaly")),
        memory_(api_.Make(ort::kCreateCpuMemoryInfo, ort::kDeviceAllocator, ort::kUsualMemory)),
        session_(api_.Keep(ort::kCreateSession, static_cast<ort::Session*>(nullptr))) {}

  void Load(const std::filesystem::path& model, const ModelInfo& info) override {
    info_ = info;
    RequirePrecision();
    const ort::Kept<ort::SessionOptions> options = api_.Make(ort::kCreateSessionOptions);
    // Several runs at the same time share the threads out among themselves.
    api_(ort::kSetThreads, options.get(), std::max(1, settings_.threads / settings_.at_once));
    api_(ort::kConfigure, options.get(), "session.intra_op.allow_spinning", "0");  // others decode and draw meanwhile
    api_(ort::kConfigure, options.get(), "session.record_ep_graph_assignment_info", "1");
    if (settings_.device == "gpu") AppendGpu(options.get(), model);
    try {
      session_ = api_.Make(ort::kCreateSession, env_.get(), model.c_str(), options.get());
    } catch (const Error& error) {
      throw Error(std::string("cannot be loaded (") + error.what() + ")");
    }
    RequireProvider();
    RequireInput();
    ReadNames();
  }

  void Run(const uint8_t* images, std::vector<float>* maps, std::vector<float>* scores) override {
    const std::vector<int64_t> shape = InputShape();
    size_t bytes = 1;
    for (int64_t side : shape) bytes *= static_cast<size_t>(side);
    std::vector<ort::Kept<ort::Value>> found;
    try {
      const ort::Kept<ort::Value> image = api_.Make(ort::kCreateTensor, memory_.get(), const_cast<uint8_t*>(images),
                                                    bytes, shape.data(), shape.size(), ort::kUint8);
      const char* const input = input_.c_str();
      const ort::Value* const value = image.get();
      std::vector<const char*> names;
      for (const std::string& name : outputs_) names.push_back(name.c_str());
      std::vector<ort::Value*> made(names.size(), nullptr);
      api_(ort::kRun, session_.get(), nullptr, &input, &value, 1, names.data(), names.size(), made.data());
      for (ort::Value* each : made) found.push_back(api_.Keep(ort::kCreateTensor, each));
    } catch (const Error& error) {
      throw Error(std::string("inference failed (") + error.what() + ")");
    }
    std::vector<std::vector<int64_t>> shapes;
    for (const auto& each : found) {
      const ort::Kept<ort::TensorInfo> about = api_.Make(ort::kGetTensorInfo, each.get());
      if (TypeOf(about.get()) != ort::kFloat32) throw Error("gives an output that is not float32");
      shapes.push_back(ShapeOf(about.get()));
    }
    const Places places = FindOutputs(shapes, info_);
    Copy(found[places.map].get(), shapes[places.map], maps);
    Copy(found[places.score].get(), shapes[places.score], scores);
  }

  std::string Name() const override {
    const std::string device = settings_.device == "cpu" ? "cpu" : "gpu " + std::to_string(settings_.device_id);
    return "ONNX Runtime " + api_.version() + (IsTensorRt() ? " with TensorRT, " : ", ") + device +
           (info_.precision == "float16" ? ", float16" : "");
  }

 private:
  bool IsTensorRt() const { return settings_.engine == "tensorrt"; }

  void RequirePrecision() {
    if (IsTensorRt() && info_.precision == "int8") throw Error("--engine tensorrt: does not take models in int8");
    WithoutBfloat16("ONNX Runtime", settings_, info_);
  }

  // The GPU, or an error: nothing runs on the processor instead.
  void AppendGpu(ort::SessionOptions* options, const std::filesystem::path& model) {
    const std::string number = std::to_string(settings_.device_id);
    LoadFromPackages(Library());
    try {
      if (IsTensorRt()) AppendTensorRt(options, number, model);
      AppendCuda(options, number);
    } catch (const Error& error) {
      throw Error("--device gpu --device_id " + number + ": this ONNX Runtime cannot use it (" + error.what() +
                  "); docs/devices.md says what NVIDIA's GPUs need");
    }
  }

  void AppendCuda(ort::SessionOptions* options, const std::string& number) {
    Pairs pairs;
    pairs.Add("device_id", number);
    pairs.Add("use_tf32", "0");  // 10 bits of each number: other scores than those the threshold is for
    const ort::Kept<ort::CudaOptions> cuda = api_.Make(ort::kCreateCudaOptions);
    api_(ort::kSetCudaOptions, cuda.get(), pairs.names.data(), pairs.values.data(), pairs.names.size());
    api_(ort::kAppendCuda, options, cuda.get());
  }

  // What TensorRT makes of a model takes minutes, and is kept for the next start: of each model by its checksum, since
  // TensorRT does not look at the numbers in it.
  void AppendTensorRt(ort::SessionOptions* options, const std::string& number, const std::filesystem::path& model) {
    setenv("NVIDIA_TF32_OVERRIDE", "0", 0);  // for TensorRT there is no option
    std::filesystem::path folder = settings_.engine_cache;
    if (folder.empty()) folder = std::filesystem::path(model).replace_extension(".tensorrt");
    const std::string cache = folder / info_.checksum.substr(0, 16);
    Pairs pairs;
    pairs.Add("device_id", number);
    pairs.Add("trt_fp16_enable", info_.precision == "float16" ? "1" : "0");
    pairs.Add("trt_engine_cache_enable", "1");
    pairs.Add("trt_engine_cache_path", cache);
    const ort::Kept<ort::TensorRtOptions> made = api_.Make(ort::kCreateTensorRtOptions);
    api_(ort::kSetTensorRtOptions, made.get(), pairs.names.data(), pairs.values.data(), pairs.names.size());
    api_(ort::kAppendTensorRt, options, made.get());
    std::error_code failed;
    std::filesystem::create_directories(cache, failed);
    if (failed) throw Error(cache + ": cannot be written, " + failed.message() + "; --engine_cache names another");
  }

  // Whether the model, or a part of it, really runs where it is to run.
  void RequireProvider() {
    const std::string wanted = IsTensorRt()                ? "TensorrtExecutionProvider"
                               : settings_.device == "gpu" ? "CUDAExecutionProvider"
                                                           : "CPUExecutionProvider";
    const ort::Subgraph* const* parts = nullptr;
    size_t count = 0;
    api_(ort::kGetSubgraphs, session_.get(), &parts, &count);
    std::string found;
    for (size_t i = 0; i < count; ++i) {
      const char* name = nullptr;
      api_(ort::kGetProvider, parts[i], &name);
      if (name == wanted) return;
      found = name;
    }
    throw Error("nothing of it runs in ONNX Runtime's " + wanted + ", but in " + (found.empty() ? "none" : found));
  }

  std::vector<int64_t> InputShape() const { return {info_.batch_size, info_.size.height, info_.size.width, 3}; }

  void RequireInput() {
    size_t count = 0;
    api_(ort::kGetInputCount, session_.get(), &count);
    if (count != 1) throw Error("has not exactly one input");
    const ort::Kept<ort::TypeInfo> type = api_.Make(ort::kGetInputType, session_.get(), 0);
    const ort::TensorInfo* about = nullptr;
    api_(ort::kAsTensor, type.get(), &about);
    if (about == nullptr) throw Error("takes no tensor");
    const std::vector<int64_t> wanted = InputShape(), found = ShapeOf(about);
    const auto fits = [](int64_t here, int64_t there) { return here == there || there < 0; };
    const bool fitting = std::equal(wanted.begin(), wanted.end(), found.begin(), found.end(), fits);
    if (TypeOf(about) != ort::kUint8 || !fitting) {
      throw Error("takes " + ort::TypeText(TypeOf(about)) + " " + ShapeText(found) + ", but its .json says uint8 " +
                  ShapeText(wanted));
    }
  }

  void ReadNames() {
    ort::Allocator* allocator = nullptr;
    api_(ort::kGetAllocator, &allocator);
    const auto text = [&](char* name) {
      const std::string kept = name;
      api_(ort::kFree, allocator, name);
      return kept;
    };
    char* name = nullptr;
    api_(ort::kGetInputName, session_.get(), 0, allocator, &name);
    input_ = text(name);
    size_t count = 0;
    api_(ort::kGetOutputCount, session_.get(), &count);
    for (size_t i = 0; i < count; ++i) {
      api_(ort::kGetOutputName, session_.get(), i, allocator, &name);
      outputs_.push_back(text(name));
    }
  }

  int TypeOf(const ort::TensorInfo* about) const {
    int type = 0;
    api_(ort::kGetElementType, about, &type);
    return type;
  }

  std::vector<int64_t> ShapeOf(const ort::TensorInfo* about) const {
    size_t count = 0;
    api_(ort::kGetDimensionsCount, about, &count);
    std::vector<int64_t> shape(count);
    api_(ort::kGetDimensions, about, shape.data(), count);
    return shape;
  }

  void Copy(ort::Value* value, const std::vector<int64_t>& shape, std::vector<float>* values) const {
    size_t count = 1;
    for (int64_t side : shape) count *= static_cast<size_t>(side);
    void* data = nullptr;
    api_(ort::kGetData, value, &data);
    values->assign(static_cast<const float*>(data), static_cast<const float*>(data) + count);
  }

  Settings settings_;
  ModelInfo info_;
  ort::Api api_;
  ort::Kept<ort::Env> env_;
  ort::Kept<ort::MemoryInfo> memory_;
  ort::Kept<ort::Session> session_;
  std::string input_;
  std::vector<std::string> outputs_;
};

}  // namespace

std::unique_ptr<Engine> MakeOnnxRuntimeEngine(const Settings& settings) {
  return std::make_unique<OnnxRuntimeEngine>(settings);
}
