#include <cstring>
#include <type_traits>

#include "engine.h"
#include "error.h"
#include "include/api/context.h"
#include "include/api/model.h"

namespace mindspore {
class GPUDeviceInfo;  // for versions that do not know it
}

namespace {

namespace ms = mindspore;

// Newer versions of MindSpore Lite have no GPUDeviceInfo.
template <typename Info, typename = void>
struct IsKnown : std::false_type {};
template <typename Info>
struct IsKnown<Info, std::void_t<decltype(sizeof(Info))>> : std::true_type {};

template <typename Info>
std::shared_ptr<ms::DeviceInfoContext> GpuInfo(int device_id) {
  if constexpr (IsKnown<Info>::value) {
    auto gpu = std::make_shared<Info>();
    gpu->SetDeviceID(static_cast<uint32_t>(device_id));
    gpu->SetEnableFP16(false);
    return gpu;
  } else {
    throw Error("runs on no GPU with this MindSpore Lite; older versions do");
  }
}

std::shared_ptr<ms::DeviceInfoContext> DeviceInfo(const Settings& settings) {
  if (settings.device == "ascend") {
    // The same for 310, 310P and 910: a .mindir that was converted for one of them runs on no other.
    auto ascend = std::make_shared<ms::AscendDeviceInfo>();
    ascend->SetDeviceID(static_cast<uint32_t>(settings.device_id));
    // Unless it is told otherwise, an Ascend computes in float16.
    ascend->SetPrecisionMode(settings.precision == "f16" ? "enforce_fp16" : "enforce_fp32");
    return ascend;
  }
  if (settings.device == "gpu") return GpuInfo<ms::GPUDeviceInfo>(settings.device_id);
  auto cpu = std::make_shared<ms::CPUDeviceInfo>();
  cpu->SetEnableFP16(false);
  return cpu;
}

std::shared_ptr<ms::Context> MakeContext(const Settings& settings) {
  auto context = std::make_shared<ms::Context>();
  context->SetThreadNum(settings.threads);
  context->MutableDeviceInfo().push_back(DeviceInfo(settings));
  return context;
}

std::string TypeText(ms::DataType type) {
  switch (type) {
    case ms::DataType::kNumberTypeUInt8:
      return "uint8";
    case ms::DataType::kNumberTypeInt8:
      return "int8";
    case ms::DataType::kNumberTypeInt32:
      return "int32";
    case ms::DataType::kNumberTypeFloat16:
      return "float16";
    case ms::DataType::kNumberTypeFloat32:
      return "float32";
    default:
      return "type " + std::to_string(static_cast<int>(type));
  }
}

std::string Reason(const ms::Status& status) { return " (" + OneLine(status.GetErrDescription()) + ")"; }

void Check(const ms::Status& status, const std::string& what) {
  if (status.IsError()) throw Error(what + Reason(status));
}

class LiteEngine : public Engine {
 public:
  explicit LiteEngine(const Settings& settings) : settings_(settings) {}

  void Load(const std::filesystem::path& model, const ModelInfo& info) override {
    info_ = info;
    WithoutBfloat16("MindSpore Lite", settings_, info);
    const ms::Status status = model_.Build(model.string(), ms::kMindIR, MakeContext(settings_));
    if (status.IsError()) throw Error("cannot be loaded on " + Device() + Reason(status) + LoadAdvice());
    std::vector<ms::MSTensor> inputs = model_.GetInputs();
    if (inputs.size() != 1) throw Error("has not exactly one input");
    const std::vector<int64_t> wanted = {info.batch_size, info.size.height, info.size.width, 3};
    bool dynamic = inputs[0].Shape().empty();
    for (int64_t side : inputs[0].Shape()) dynamic = dynamic || side < 0;
    if (dynamic) {
      Check(model_.Resize(inputs, {wanted}), "cannot take " + ShapeText(wanted));
      inputs = model_.GetInputs();
    }
    if (inputs[0].DataType() != ms::DataType::kNumberTypeUInt8 || inputs[0].Shape() != wanted) {
      throw Error("takes " + TypeText(inputs[0].DataType()) + " " + ShapeText(inputs[0].Shape()) +
                  ", but its .json says uint8 " + ShapeText(wanted));
    }
  }

  void Run(const uint8_t* images, std::vector<float>* maps, std::vector<float>* scores) override {
    std::vector<ms::MSTensor> inputs = model_.GetInputs();
    std::memcpy(inputs.at(0).MutableData(), images, inputs.at(0).DataSize());
    std::vector<ms::MSTensor> outputs;
    Check(model_.Predict(inputs, &outputs), "inference failed");
    // Only now: some devices know the shapes of the outputs after the first run.
    std::vector<std::vector<int64_t>> shapes;
    for (const ms::MSTensor& output : outputs) shapes.push_back(output.Shape());
    const Places places = FindOutputs(shapes, info_);
    Copy(outputs[places.map], maps);
    Copy(outputs[places.score], scores);
  }

  std::string Name() const override {
    return "MindSpore Lite, " + Device() + (settings_.precision == "f16" ? ", float16" : "");
  }

 private:
  std::string Device() const {
    return settings_.device + (settings_.device == "cpu" ? "" : " " + std::to_string(settings_.device_id));
  }

  // Lite's own reason is a code, the same for a device that is not there and for a file that it cannot read.
  std::string LoadAdvice() const {
    if (settings_.device == "cpu") {
      return "; a .mindir of export.py is for Python: convert its .onnx with scripts/convert_lite.sh";
    }
    return ": MindSpore Lite finds no such device here, or the model is not for it; --device cpu runs it on the "
           "processor";
  }

  static void Copy(const ms::MSTensor& tensor, std::vector<float>* values) {
    const std::shared_ptr<const void> data = tensor.Data();
    if (tensor.DataType() != ms::DataType::kNumberTypeFloat32 || data == nullptr) {
      throw Error("inference failed (an output is not float32 in the memory of this machine)");
    }
    const float* first = static_cast<const float*>(data.get());
    values->assign(first, first + tensor.DataSize() / sizeof(float));
  }

  Settings settings_;
  ModelInfo info_;
  ms::Model model_;
};

}  // namespace

extern "C" Engine* anomaly_make_lite_engine(const Settings& settings) { return new LiteEngine(settings); }
