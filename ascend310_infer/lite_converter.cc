#include "lite_converter.h"

#include <memory>

#include "error.h"
#include "include/api/status.h"
#include "include/api/types.h"

// What is needed of MindSpore Lite's converter, whose header is not in every package. The library has these functions,
// with texts as vectors of characters, from 2.0 on; a public interface in std::string is a wrapper around them.
namespace mindspore {

namespace converter {
enum FmkType : int { kFmkTypeOnnx = 2 };
}

struct ConverterPara;

class Converter {
 public:
  using Text = std::vector<char>;
  Converter(converter::FmkType from, const Text& model, const Text& target, const Text& weights);
  void SetConfigFile(const Text& path);
  void SetDevice(const Text& name);
  void SetInputShape(const std::map<Text, std::vector<int64_t>>& shapes);
  void SetSaveType(ModelType type);
  Status Convert();

 private:
  std::shared_ptr<ConverterPara> data_;
};

}  // namespace mindspore

namespace ms = mindspore;

void ConvertWithLite(const Conversion& conversion, const std::filesystem::path& target) {
  const auto text = [](const std::string& value) { return ms::Converter::Text(value.begin(), value.end()); };
  ms::Converter converter(ms::converter::kFmkTypeOnnx, text(conversion.model), text(target), {});
  converter.SetSaveType(ms::kMindIR);
  converter.SetConfigFile(text(conversion.config));
  if (conversion.for_ascend) converter.SetDevice(text("Ascend"));
  std::map<ms::Converter::Text, std::vector<int64_t>> shapes;
  for (const auto& [name, shape] : conversion.shapes) shapes[text(name)] = shape;
  if (!shapes.empty()) converter.SetInputShape(shapes);
  const ms::Status status = converter.Convert();
  if (status.IsError()) {
    throw Error("MindSpore Lite cannot convert it (" + OneLine(status.GetErrDescription()) + ")" +
                (conversion.for_ascend ? "; --device ascend needs CANN and a device of that kind here" : "") +
                "; with GLOG_v=3 in the environment it says more");
  }
}
