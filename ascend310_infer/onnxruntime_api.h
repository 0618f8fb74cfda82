#ifndef ANOMALY_INFER_ONNXRUNTIME_API_H_
#define ANOMALY_INFER_ONNXRUNTIME_API_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

// The part of ONNX Runtime's interface for C that is used here. Its library is opened when a model needs it: it comes
// with Python's packages, which hold no headers. The interface is a table of functions that only grows at its end, so
// the place of each is the same in all versions; places and types are those of onnxruntime_c_api.h.
namespace ort {

constexpr uint32_t kVersion = 24;  // of the interface: the first that says what a model runs on

struct Allocator;
struct CudaOptions;
struct Env;
struct MemoryInfo;
struct RunOptions;
struct Session;
struct SessionOptions;
struct Status;
struct Subgraph;  // a part of a model that runs on one kind of device
struct TensorInfo;
struct TensorRtOptions;
struct TypeInfo;
struct Value;

constexpr int kSilent = 4;               // OrtLoggingLevel: what goes wrong is told by an error
constexpr int kUint8 = 2, kFloat32 = 1;  // ONNXTensorElementDataType
std::string TypeText(int type);
constexpr int kDeviceAllocator = 0, kUsualMemory = 0;

// A function at this place of the table, which says how it went.
template <size_t kPlace, typename... Arguments>
struct Function {};

// One that makes something, and the place of the one that takes it away.
template <size_t kPlace, size_t kRelease, typename Made, typename... Arguments>
struct Maker {};

using Texts = const char* const*;

constexpr Maker<3, 92, Env, int, const char*> kCreateEnv{};
constexpr Maker<7, 95, Session, const Env*, const char*, const SessionOptions*> kCreateSession{};
constexpr Function<9, Session*, const RunOptions*, Texts, const Value* const*, size_t, Texts, size_t, Value**> kRun{};
constexpr Maker<10, 100, SessionOptions> kCreateSessionOptions{};
constexpr Function<24, SessionOptions*, int> kSetThreads{};
constexpr Function<30, const Session*, size_t*> kGetInputCount{};
constexpr Function<31, const Session*, size_t*> kGetOutputCount{};
constexpr Maker<33, 98, TypeInfo, const Session*, size_t> kGetInputType{};
constexpr Function<36, const Session*, size_t, Allocator*, char**> kGetInputName{};
constexpr Function<37, const Session*, size_t, Allocator*, char**> kGetOutputName{};
constexpr Maker<49, 96, Value, const MemoryInfo*, void*, size_t, const int64_t*, size_t, int> kCreateTensor{};
constexpr Function<51, Value*, void**> kGetData{};
constexpr Function<55, const TypeInfo*, const TensorInfo**> kAsTensor{};
constexpr Function<60, const TensorInfo*, int*> kGetElementType{};
constexpr Function<61, const TensorInfo*, size_t*> kGetDimensionsCount{};
constexpr Function<62, const TensorInfo*, int64_t*, size_t> kGetDimensions{};
constexpr Maker<65, 99, TensorInfo, const Value*> kGetTensorInfo{};
constexpr Maker<69, 94, MemoryInfo, int, int> kCreateCpuMemoryInfo{};
constexpr Function<76, Allocator*, void*> kFree{};
constexpr Function<78, Allocator**> kGetAllocator{};
constexpr Function<130, SessionOptions*, const char*, const char*> kConfigure{};
constexpr Function<170, SessionOptions*, const TensorRtOptions*> kAppendTensorRt{};
constexpr Maker<171, 174, TensorRtOptions> kCreateTensorRtOptions{};
constexpr Function<172, TensorRtOptions*, Texts, Texts, size_t> kSetTensorRtOptions{};
constexpr Function<204, SessionOptions*, const CudaOptions*> kAppendCuda{};
constexpr Maker<205, 208, CudaOptions> kCreateCudaOptions{};
constexpr Function<206, CudaOptions*, Texts, Texts, size_t> kSetCudaOptions{};
constexpr Function<407, const Session*, const Subgraph* const**, size_t*> kGetSubgraphs{};
constexpr Function<408, const Subgraph*, const char**> kGetProvider{};

// What is taken away when it is no longer needed.
template <typename T>
using Kept = std::unique_ptr<T, void (*)(T*)>;

template <typename T>
struct Exactly {
  using Type = T;
};

class Api {
 public:
  // Opens the library. Throws Error.
  explicit Api(const std::string& library);

  const std::string& version() const { return version_; }

  // Calls a function. Throws Error, with its reason.
  template <size_t kPlace, typename... Arguments>
  void operator()(Function<kPlace, Arguments...>, typename Exactly<Arguments>::Type... arguments) const {
    Check(At<Status*(Arguments...)>(kPlace)(arguments...));
  }

  template <size_t kPlace, size_t kRelease, typename Made, typename... Arguments>
  Kept<Made> Make(Maker<kPlace, kRelease, Made, Arguments...> maker,
                  typename Exactly<Arguments>::Type... arguments) const {
    Made* made = nullptr;
    Check(At<Status*(Arguments..., Made**)>(kPlace)(arguments..., &made));
    return Keep(maker, made);
  }

  template <size_t kPlace, size_t kRelease, typename Made, typename... Arguments>
  Kept<Made> Keep(Maker<kPlace, kRelease, Made, Arguments...>, Made* made) const {
    return {made, At<void(Made*)>(kRelease)};
  }

 private:
  template <typename Signature>
  Signature* At(size_t place) const {
    return reinterpret_cast<Signature*>(table_[place]);
  }

  void Check(Status* status) const;

  std::string version_;
  void* const* table_ = nullptr;
};

}  // namespace ort

#endif  // ANOMALY_INFER_ONNXRUNTIME_API_H_
