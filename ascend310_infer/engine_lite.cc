#include <cstring>

#include "engine.h"
#include "error.h"
#include "include/api/context.h"
#include "include/api/model.h"

namespace {

namespace ms = mindspore;

std::shared_ptr<ms::Context> MakeContext(const std::string& device, int device_id) {
  auto context = std::make_shared<ms::Context>();
  if (device == "ascend") {
    // The same for 310 and 310P: the .mindir was converted for one of them.
    auto ascend = std::make_shared<ms::AscendDeviceInfo>();
    ascend->SetDeviceID(static_cast<uint32_t>(device_id));
    context->MutableDeviceInfo().push_back(ascend);
  } else if (device == "gpu") {
    auto gpu = std::make_shared<ms::GPUDeviceInfo>();
    gpu->SetDeviceID(static_cast<uint32_t>(device_id));
    gpu->SetEnableFP16(false);
    context->MutableDeviceInfo().push_back(gpu);
  } else {
    auto cpu = std::make_shared<ms::CPUDeviceInfo>();
    cpu->SetEnableFP16(false);
    context->MutableDeviceInfo().push_back(cpu);
  }
  return context;
}

void Check(const ms::Status& status, const std::string& what) {
  if (status.IsError()) throw Error(what + " (" + OneLine(status.GetErrDescription()) + ")");
}

class LiteEngine : public Engine {
 public:
  LiteEngine(const std::string& device, int device_id) : device_(device), device_id_(device_id) {}

  void Load(const std::filesystem::path& model, const ModelInfo& info) override {
    info_ = info;
    Check(model_.Build(model.string(), ms::kMindIR, MakeContext(device_, device_id_)), "cannot be loaded");
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
      throw Error("takes type " + std::to_string(static_cast<int>(inputs[0].DataType())) + " " +
                  ShapeText(inputs[0].Shape()) + ", but its .json says uint8 " + ShapeText(wanted));
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
    return "MindSpore Lite, " + device_ + (device_ == "cpu" ? "" : " " + std::to_string(device_id_));
  }

 private:
  static void Copy(const ms::MSTensor& tensor, std::vector<float>* values) {
    const std::shared_ptr<const void> data = tensor.Data();
    if (tensor.DataType() != ms::DataType::kNumberTypeFloat32 || data == nullptr) {
      throw Error("inference failed (an output is not float32 in the memory of this machine)");
    }
    const float* first = static_cast<const float*>(data.get());
    values->assign(first, first + tensor.DataSize() / sizeof(float));
  }

  std::string device_;
  int device_id_;
  ModelInfo info_;
  ms::Model model_;
};

}  // namespace

std::unique_ptr<Engine> MakeLiteEngine(const std::string& device, int device_id) {
  return std::make_unique<LiteEngine>(device, device_id);
}
