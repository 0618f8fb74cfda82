#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <openvino/runtime/core.hpp>
#include <optional>

#include "engine.h"
#include "error.h"
#include "openvino_search.h"

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

// What is computed for one run of the model, in one part or in two.
struct Request {
  std::optional<ov::InferRequest> before;  // up to the boundaries
  ov::InferRequest rest;
  bool busy = false;
};

class OpenVinoEngine : public Engine {
 public:
  explicit OpenVinoEngine(const Settings& settings) : settings_(settings) {
    if (settings.device == "gpu") device_ = "GPU." + std::to_string(settings.device_id);
  }

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
    Request* request = Take();
    try {
      ov::InferRequest& first = request->before ? *request->before : request->rest;
      std::memcpy(first.get_input_tensor().data<uint8_t>(), images, first.get_input_tensor().get_byte_size());
      if (request->before) Wait(&*request->before);
      Wait(&request->rest);
      Copy(request->rest.get_output_tensor(places_.map), maps);
      Copy(request->rest.get_output_tensor(places_.score), scores);
    } catch (const std::exception& error) {
      Give(request);
      throw Error("inference failed" + Reason(error));
    }
    Give(request);
  }

  std::string Name() const override { return "OpenVINO, " + settings_.device + how_; }

 private:
  void LoadOrThrow(const std::filesystem::path& path, const ModelInfo& info) {
    RequireDevice();
    const std::shared_ptr<ov::Model> model = Read(path);
    Check(model.get(), info);
    const bool search = device_ == "CPU" && SearchInstead(model.get());
    std::shared_ptr<ov::Model> before;
    ov::ParameterVector starts;
    if (info.precision == "bfloat16" && HasBfloat16()) {
      before = CutOff(model.get(), &starts);
      if (!before) throw Error("its .json says bfloat16, but no tensor in it is called boundary");
    }
    how_ = std::string(before ? ", bfloat16" : info.precision == "int8" ? ", int8" : "") + (search ? ", own search" : "");
    requests_.resize(settings_.at_once);
    if (!before) {
      ov::CompiledModel whole = Compile(model, ov::element::f32);
      for (Request& request : requests_) request.rest = whole.create_infer_request();
      return;
    }
    ov::CompiledModel first = Compile(before, ov::element::bf16);
    ov::CompiledModel second = Compile(std::make_shared<ov::Model>(model->get_results(), starts), ov::element::f32);
    for (Request& request : requests_) {
      request.before = first.create_infer_request();
      request.rest = second.create_infer_request();
      for (size_t i = 0; i < starts.size(); ++i) {
        request.rest.set_input_tensor(i, request.before->get_output_tensor(i));
      }
    }
  }

  void RequireDevice() {
    if (device_ == "CPU") return;
    std::string found;
    for (const std::string& name : core_.get_available_devices()) {
      if (name == device_ || (name == "GPU" && settings_.device_id == 0)) return;
      found += (found.empty() ? "" : ", ") + name;
    }
    throw Error("--device gpu --device_id " + std::to_string(settings_.device_id) +
                ": OpenVINO finds no such Intel GPU here, only " + found + "; NVIDIA's are for --engine onnxruntime");
  }

  // The model is for what the info says.
  void Check(ov::Model* model, const ModelInfo& info) {
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
  }

  bool HasBfloat16() {
    const auto able = core_.get_property(device_, ov::device::capabilities);
    if (std::find(able.begin(), able.end(), "BF16") != able.end()) return true;
    if (settings_.precision == "bf16") throw Error("--precision bf16: this " + settings_.device + " has no bfloat16");
    std::fprintf(stderr, "note: no bfloat16 here: in float32, with slightly other scores\n");
    return false;
  }

  // Without the hint, processors that have bfloat16 use it, and scores differ from those the threshold is for. What is
  // quantised in the file runs in integers with any hint. One request has all threads; several have their share each,
  // and keep to them better than one that splits every layer.
  ov::CompiledModel Compile(const std::shared_ptr<ov::Model>& model, ov::element::Type precision) {
    ov::AnyMap properties = {ov::hint::inference_precision(precision),
                             ov::hint::performance_mode(ov::hint::PerformanceMode::LATENCY)};
    if (device_ == "CPU") {
      properties.insert(ov::inference_num_threads(settings_.threads));
      properties.insert(ov::num_streams(std::min(settings_.at_once, settings_.threads)));
      properties.insert(ov::hint::enable_cpu_pinning(false));  // other threads decode and draw meanwhile
    }
    return core_.compile_model(model, device_, properties);
  }

  std::shared_ptr<ov::Model> Read(const std::filesystem::path& path) {
    const QuietErrors quiet;
    return core_.read_model(path.string());
  }

  static void Wait(ov::InferRequest* request) {
    request->start_async();
    request->wait();
  }

  static void Copy(const ov::Tensor& tensor, std::vector<float>* values) {
    values->assign(tensor.data<const float>(), tensor.data<const float>() + tensor.get_size());
  }

  // A request that nobody uses; while there is none, this waits.
  Request* Take() {
    std::unique_lock<std::mutex> lock(mutex_);
    const auto is_free = [](const Request& request) { return !request.busy; };
    auto found = requests_.end();
    given_.wait(lock, [&] {
      found = std::find_if(requests_.begin(), requests_.end(), is_free);
      return found != requests_.end();
    });
    found->busy = true;
    return &*found;
  }

  void Give(Request* request) {
    const std::lock_guard<std::mutex> lock(mutex_);
    request->busy = false;
    given_.notify_one();
  }

  Settings settings_;
  std::string device_ = "CPU";  // as OpenVINO calls it
  ov::Core core_;
  std::string how_;  // for people, where it is not the usual way
  Places places_;
  std::mutex mutex_;
  std::condition_variable given_;
  std::vector<Request> requests_;
};

}  // namespace

std::unique_ptr<Engine> MakeOpenVinoEngine(const Settings& settings) {
  unsetenv("ONEDNN_MAX_CPU_ISA");  // a cap that MindSpore needs: under it bfloat16 has no kernels
  return std::make_unique<OpenVinoEngine>(settings);
}
