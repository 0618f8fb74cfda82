#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <openvino/openvino.hpp>
#include <optional>

#include "engine.h"
#include "error.h"

namespace {

std::vector<int64_t> ToVector(const ov::Shape& shape) { return {shape.begin(), shape.end()}; }

// Without the places in OpenVINO's own source.
std::string Reason(const std::exception& error) {
  const std::string place = "Exception from ";
  std::string text = OneLine(error.what());
  for (size_t at = text.find(place); at != std::string::npos; at = text.find(place, at)) {
    const size_t end = text.find(": ", at);
    text.erase(at, end == std::string::npos ? place.size() : end + 2 - at);
  }
  return " (" + text + ")";
}

// The name of a tensor behind which everything is computed in float32, or nothing.
std::string Boundary(const ov::Output<ov::Node>& output) {
  for (const std::string& name : output.get_names()) {
    if (name.rfind("boundary", 0) == 0) return name;
  }
  return "";
}

// The model up to its boundaries, and what is left of it: its inputs are what the first part gives, in this order.
std::shared_ptr<ov::Model> CutOff(ov::Model* model, ov::ParameterVector* starts) {
  ov::OutputVector ends;
  for (const auto& node : model->get_ordered_ops()) {
    for (const auto& output : node->outputs()) {
      if (!Boundary(output).empty()) ends.push_back(output);
    }
  }
  ov::ParameterVector inputs = model->get_parameters();
  for (const auto& end : ends) {
    const auto start = std::make_shared<ov::op::v0::Parameter>(end.get_element_type(), end.get_partial_shape());
    for (auto target : end.get_target_inputs()) target.replace_source_output(start);
    starts->push_back(start);
  }
  return ends.empty() ? nullptr : std::make_shared<ov::Model>(ends, inputs);
}

// The readers of OpenVINO print lines of their own about a bad file before they throw; the error says it in one.
class QuietErrors {
 public:
  QuietErrors() : kept_(dup(STDERR_FILENO)) {
    const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (nowhere < 0) return;
    dup2(nowhere, STDERR_FILENO);
    close(nowhere);
  }
  ~QuietErrors() {
    if (kept_ < 0) return;
    dup2(kept_, STDERR_FILENO);
    close(kept_);
  }
  QuietErrors(const QuietErrors&) = delete;
  QuietErrors& operator=(const QuietErrors&) = delete;

 private:
  int kept_;
};

class OpenVinoEngine : public Engine {
 public:
  void Load(const std::filesystem::path& model, const ModelInfo& info) override {
    try {
      LoadOrThrow(model, info);
    } catch (const Error&) {
      throw;
    } catch (const std::exception& error) {
      throw Error("cannot be loaded" + Reason(error));
    }
  }

  void Run(const uint8_t* images, std::vector<float>* maps, std::vector<float>* scores) override {
    try {
      ov::InferRequest& first = before_ ? *before_ : request_;
      std::memcpy(first.get_input_tensor().data<uint8_t>(), images, first.get_input_tensor().get_byte_size());
      first.infer();
      if (before_) request_.infer();
      Copy(places_.map, maps);
      Copy(places_.score, scores);
    } catch (const std::exception& error) {
      throw Error("inference failed" + Reason(error));
    }
  }

  std::string Name() const override {
    if (before_) return "OpenVINO, cpu, bfloat16";
    return int8_ ? "OpenVINO, cpu, int8" : "OpenVINO, cpu";
  }

 private:
  void LoadOrThrow(const std::filesystem::path& path, const ModelInfo& info) {
    const std::shared_ptr<ov::Model> model = Read(path);
    if (model->inputs().size() != 1) throw Error("has more than one input");
    const ov::PartialShape wanted{info.batch_size, info.size.height, info.size.width, 3};
    const ov::PartialShape found = model->input().get_partial_shape();
    if (model->input().get_element_type() != ov::element::u8 || !found.compatible(wanted)) {
      throw Error("takes " + model->input().get_element_type().to_string() + " " + found.to_string() +
                  ", but its .json says u8 " + wanted.to_string());
    }
    if (found.is_dynamic()) model->reshape(wanted);
    std::vector<std::vector<int64_t>> shapes;
    for (const auto& output : model->outputs()) {
      if (output.get_element_type() != ov::element::f32 || output.get_partial_shape().is_dynamic()) {
        throw Error("gives an output that is not float32 of a known shape");
      }
      shapes.push_back(ToVector(output.get_shape()));
    }
    places_ = FindOutputs(shapes, info);
    int8_ = info.precision == "int8";
    if (info.precision == "bfloat16" && HasBfloat16()) {
      ov::ParameterVector starts;
      const std::shared_ptr<ov::Model> before = CutOff(model.get(), &starts);
      if (!before) throw Error("its .json says bfloat16, but no tensor in it is called boundary");
      before_ = Compile(before, ov::element::bf16);
      request_ = Compile(std::make_shared<ov::Model>(model->get_results(), starts), ov::element::f32);
      for (size_t i = 0; i < starts.size(); ++i) request_.set_input_tensor(i, before_->get_output_tensor(i));
      return;
    }
    request_ = Compile(model, ov::element::f32);
  }

  bool HasBfloat16() {
    const auto able = core_.get_property("CPU", ov::device::capabilities);
    const bool found = std::find(able.begin(), able.end(), "BF16") != able.end();
    if (!found) std::fprintf(stderr, "note: no bfloat16 here: in float32, with slightly other scores\n");
    return found;
  }

  // Without the hint, processors that have bfloat16 use it, and scores differ from those the threshold is for. What is
  // quantised in the file runs in integers with any hint.
  ov::InferRequest Compile(const std::shared_ptr<ov::Model>& model, ov::element::Type precision) {
    return core_
        .compile_model(model, "CPU", ov::hint::inference_precision(precision),
                       ov::hint::performance_mode(ov::hint::PerformanceMode::LATENCY))
        .create_infer_request();
  }

  std::shared_ptr<ov::Model> Read(const std::filesystem::path& path) {
    const QuietErrors quiet;
    return core_.read_model(path.string());
  }

  void Copy(size_t index, std::vector<float>* values) {
    const ov::Tensor tensor = request_.get_output_tensor(index);
    values->assign(tensor.data<const float>(), tensor.data<const float>() + tensor.get_size());
  }

  ov::Core core_;
  std::optional<ov::InferRequest> before_;  // up to the boundaries, where the model is in two parts
  ov::InferRequest request_;
  bool int8_ = false;
  Places places_;
};

}  // namespace

std::unique_ptr<Engine> MakeOpenVinoEngine() {
  unsetenv("ONEDNN_MAX_CPU_ISA");  // a cap that MindSpore needs: under it bfloat16 has no kernels
  return std::make_unique<OpenVinoEngine>();
}
