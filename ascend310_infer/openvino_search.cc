#include "openvino_search.h"

#include <opencv2/core/utility.hpp>
#include <memory>
#include <openvino/op/abs.hpp>
#include <openvino/op/constant.hpp>
#include <openvino/op/matmul.hpp>
#include <openvino/op/maximum.hpp>
#include <openvino/op/multiply.hpp>
#include <openvino/op/reduce_max.hpp>
#include <openvino/op/relu.hpp>
#include <openvino/op/sqrt.hpp>
#include <openvino/op/subtract.hpp>

#include "search.h"

namespace {

namespace op {  // as the file of a model has them
using namespace ov::op::v0;
using namespace ov::op::v1;
}  // namespace op

constexpr int64_t kFewRows = 512;   // are multiplied in no time
constexpr int64_t kTogether = 128;  // points that one thread searches for

class NearestRow : public ov::op::Op {
 public:
  OPENVINO_OP("NearestRow", "anomaly");

  NearestRow(const ov::Output<ov::Node>& points, const ov::Output<ov::Node>& shadows,
             std::shared_ptr<const Search> search)
      : Op({points, shadows}), search_(std::move(search)) {
    constructor_validate_and_infer_types();
  }

  void validate_and_infer_types() override {
    ov::PartialShape shape = get_input_partial_shape(0);
    shape.resize(shape.size() - 1);
    set_output_type(0, ov::element::f32, shape);
  }

  std::shared_ptr<ov::Node> clone_with_new_inputs(const ov::OutputVector& inputs) const override {
    return std::make_shared<NearestRow>(inputs.at(0), inputs.at(1), search_);
  }

  bool visit_attributes(ov::AttributeVisitor&) override { return true; }

  bool has_evaluate() const override { return true; }

  bool evaluate(ov::TensorVector& outputs, const ov::TensorVector& inputs) const override {
    const ov::Shape shape = inputs[0].get_shape();
    const int64_t dimensions = shape.back(), count = inputs[0].get_size() / dimensions;
    outputs[0].set_shape({shape.begin(), shape.end() - 1});
    const float *const points = inputs[0].data<const float>(), *const shadows = inputs[1].data<const float>();
    float* const squared = outputs[0].data<float>();
    cv::parallel_for_({0, static_cast<int>((count + kTogether - 1) / kTogether)}, [&](const cv::Range& parts) {
      const int64_t first = parts.start * kTogether, last = std::min(count, parts.end * kTogether);
      search_->Squared(points + first * dimensions, shadows + first * kShadow, last - first, squared + first);
    }, cv::getNumThreads());
    return true;
  }

 private:
  std::shared_ptr<const Search> search_;
};

template <typename Node>
std::shared_ptr<Node> InputAs(const std::shared_ptr<ov::Node>& node, size_t place) {
  return node ? ov::as_type_ptr<Node>(node->get_input_node_shared_ptr(place)) : nullptr;
}

// What model.py of PatchCore makes the largest of, x m - |m|^2 / 2: from which points, and with which rows.
struct Found {
  ov::Output<ov::Node> points;
  std::vector<std::shared_ptr<op::Constant>> rows;  // D m each
};

bool Find(const std::shared_ptr<ov::Node>& node, Found* found) {
  if (ov::is_type<op::Maximum>(node)) {
    return Find(node->get_input_node_shared_ptr(0), found) && Find(node->get_input_node_shared_ptr(1), found);
  }
  const auto product = InputAs<op::MatMul>(InputAs<op::Subtract>(ov::as_type_ptr<op::ReduceMax>(node), 0), 0);
  const auto rows = InputAs<op::Constant>(product, 1);
  if (!rows || rows->get_element_type() != ov::element::f32 || rows->get_shape().size() != 2) return false;
  if (!found->rows.empty() && found->points != product->input_value(0)) return false;
  found->points = product->input_value(0);
  found->rows.push_back(rows);
  return true;
}

int64_t Count(const Found& found) {
  int64_t count = 0;
  for (const auto& part : found.rows) count += part->get_shape()[1];
  return count;
}

std::vector<float> Rows(const Found& found) {
  std::vector<float> rows;
  for (const auto& part : found.rows) {
    const int dimensions = static_cast<int>(part->get_shape()[0]), count = static_cast<int>(part->get_shape()[1]);
    const cv::Mat columns(dimensions, count, CV_32F, const_cast<void*>(part->get_data_ptr()));
    const cv::Mat turned = columns.t();
    rows.insert(rows.end(), turned.begin<float>(), turned.end<float>());
  }
  return rows;
}

}  // namespace

bool SearchInstead(ov::Model* model) {
  bool done = false;
  for (const auto& node : model->get_ordered_ops()) {
    const auto positive = InputAs<ov::Node>(ov::as_type_ptr<op::Sqrt>(node), 0);
    if (!ov::is_type<op::Abs>(positive) && !ov::is_type<op::Relu>(positive)) continue;  // Relu: in earlier exports
    const auto squared = InputAs<op::Subtract>(positive, 0);
    const auto twice = InputAs<op::Multiply>(squared, 1);
    Found found;
    if (!twice || !Find(twice->get_input_node_shared_ptr(0), &found)) continue;
    const int64_t dimensions = found.rows[0]->get_shape()[0];
    if (Count(found) < kFewRows) continue;
    SearchMaker* const make = FindSearchMaker();
    if (make == nullptr) return false;
    const std::shared_ptr<const Search> search(make(Rows(found), dimensions));
    if (!search) continue;
    const ov::Shape shape{static_cast<size_t>(dimensions), static_cast<size_t>(kShadow)};
    const auto axes = std::make_shared<op::Constant>(ov::element::f32, shape, search->Axes());
    const auto shadows = std::make_shared<op::MatMul>(found.points, axes);
    squared->output(0).replace(std::make_shared<NearestRow>(found.points, shadows, search));
    done = true;
  }
  return done;
}
