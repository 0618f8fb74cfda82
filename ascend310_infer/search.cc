// A library for each kind of processor: what only some can do must not come into the program itself.

#include "search.h"

#include <random>
#include <tuple>

#include "../patchcore/src/screen.cc"

namespace {

constexpr int64_t kSample = 1024;  // rows that directions are taken from
constexpr int kRounds = 2;
constexpr int kMany = 8;  // where more than this part of the bank could be nearest, products with all of it are faster:
constexpr int kSide = 4, kBlock = 4 * kLanes;  // of so many points and rows together

using Numbers = std::vector<float>;

// N D times D K.
Numbers Product(const Numbers& rows, int64_t dimensions, const Numbers& axes) {
  const int64_t count = rows.size() / dimensions;
  Numbers product(count * kShadow);
  for (int64_t row = 0; row < count; ++row) {
    Floats sums[kShadow / kLanes] = {};
    for (int64_t d = 0; d < dimensions; ++d) {
      for (int64_t i = 0; i < kShadow / kLanes; ++i) {
        sums[i] += rows[row * dimensions + d] * Load<Floats>(&axes[d * kShadow + i * kLanes]);
      }
    }
    std::memcpy(&product[row * kShadow], sums, sizeof(sums));
  }
  return product;
}

Numbers Transposed(const Numbers& values, int64_t columns) {
  const int64_t rows = values.size() / columns;
  Numbers turned(values.size());
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) turned[j * rows + i] = values[i * columns + j];
  return turned;
}

double Dot(const std::vector<double>& a, const std::vector<double>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

// Columns of D K that stand upright on one another and have the length 1, or 0 where those before hold all of it.
Numbers Upright(const Numbers& columns) {
  const Numbers turned = Transposed(columns, kShadow);
  const int64_t size = turned.size() / kShadow;
  std::vector<std::vector<double>> found;
  Numbers upright;
  for (int64_t column = 0; column < kShadow; ++column) {
    std::vector<double> values(&turned[column * size], &turned[column * size] + size);
    const double before = std::sqrt(Dot(values, values));
    for (int again = 0; again < 2; ++again)
      for (const auto& other : found) {
        const double part = Dot(values, other);
        for (int64_t i = 0; i < size; ++i) values[i] -= part * other[i];
      }
    const double length = std::sqrt(Dot(values, values));
    for (double& value : values) value = length > 1e-5 * before ? value / length : 0;
    upright.insert(upright.end(), values.begin(), values.end());
    found.push_back(std::move(values));
  }
  return Transposed(upright, size);
}

Numbers AtRandom(int64_t count, std::mt19937* generator) {
  std::normal_distribution<float> normal;
  Numbers values(count);
  for (float& value : values) value = normal(*generator);
  return values;
}

// Directions in which the rows vary about the most: random ones that were multiplied with the rows. They are turned at
// random, so that all coordinates of a shadow are of about one size.
Numbers Directions(const Numbers& rows, int64_t dimensions) {
  const int64_t count = rows.size() / dimensions, step = std::max<int64_t>(1, count / kSample);
  Numbers sample;
  for (int64_t row = 0; row < count; row += step)
    sample.insert(sample.end(), &rows[row * dimensions], &rows[row * dimensions] + dimensions);
  const Numbers turned = Transposed(sample, dimensions);
  std::mt19937 generator(0);
  Numbers axes = AtRandom(dimensions * kShadow, &generator);
  for (int round = 0; round < kRounds; ++round)
    axes = Upright(Product(turned, sample.size() / dimensions, Product(sample, dimensions, axes)));
  return Product(axes, kShadow, Upright(AtRandom(kShadow * kShadow, &generator)));
}

class BankSearch : public Search {
 public:
  BankSearch(Numbers rows, int64_t dimensions)
      : rows_(std::move(rows)),
        zero_(dimensions),
        axes_(Directions(rows_, dimensions)),
        bank_{static_cast<int64_t>(rows_.size()) / dimensions, kShadow, dimensions, rows_.data(), {}, {}, {}, 1, 0, 0} {
    for (int64_t row = 0; row < bank_.rows; ++row) norms_.push_back(Norm(Row(row)));
    farthest_ = std::sqrt(*std::max_element(norms_.begin(), norms_.end()));
    PutShadows(Product(rows_, dimensions, axes_));
  }

  const std::vector<float>& Axes() const override { return axes_; }

  void Squared(const float* points, const float* shadows, int64_t count, float* squared) const override {
    Numbers slack(count);  // what rounding may add to a distance of shadows
    for (int64_t i = 0; i < count; ++i) {
      const float length = std::sqrt(Norm(points + i * bank_.dimensions));
      slack[i] = 4 * kUnit * (bank_.dimensions + 2) * (length + farthest_);
    }
    const Asked asked = {points, shadows, slack.data(), count, 0, 0};
    std::vector<int64_t> left;
    InParts(bank_, asked, [&](Screening& some, int64_t first, int64_t number) {
      float* const bounds = squared + first;
      some.Bounds(1, bounds);
      const auto& groups = some.Groups(bounds);
      for (int64_t i = 0; i < number; ++i) {
        if (i + 1 < number) some.FetchFirst(groups[i + 1]);
        if (static_cast<int64_t>(groups[i].size()) * kGroup * kMany > bank_.rows) {
          left.push_back(first + i);
          continue;
        }
        for (int64_t group : groups[i])
          some.Possible(i, group, bounds[i], [&](int64_t row, float& bound) {
            if (row != some.First(i, 1)) bound = std::min(bound, some.Distance(i, row));
          });
      }
    });
    if (!left.empty()) AmongAll(points, left, squared);
  }

 private:
  const float* Row(int64_t row) const { return &rows_[std::min(row, bank_.rows - 1) * bank_.dimensions]; }

  float Norm(const float* values) const { return SquaredDistance(values, zero_.data(), bank_.dimensions); }

  // As Screen.put of screen.py.
  void PutShadows(const Numbers& shadows) {
    float largest = 0;
    for (float value : shadows) largest = std::max(largest, std::abs(value));
    const float step = largest > 0 ? largest / kLargest : 1;
    codes_.resize((bank_.rows + kRows) * kShadow);
    halves_.resize(bank_.rows + kRows);
    starts_.resize(bank_.rows + kRows);
    float error = 0, longest = 0;
    for (int64_t row = 0; row < bank_.rows; ++row) {
      float moved = 0;
      int32_t length = 0, sum = 0;
      for (int64_t i = row * kShadow; i < (row + 1) * kShadow; ++i) {
        codes_[i] = static_cast<int8_t>(std::nearbyint(shadows[i] / step));
        const float apart = shadows[i] - codes_[i] * step;
        moved += apart * apart;
        length += codes_[i] * codes_[i];
        sum += codes_[i];
      }
      halves_[row] = length * step * step / 2;
      starts_[row] = -kZero * sum;
      error = std::max(error, std::sqrt(moved));
      longest = std::max(longest, std::sqrt(2 * halves_[row]));
    }
    bank_.codes = codes_.data();
    bank_.halves = halves_.data();
    bank_.starts = starts_.data();
    std::tie(bank_.step, bank_.error, bank_.longest) = std::tie(step, error, longest);
  }

  // Of these points alone: by the largest x m - |m|^2 / 2 of all rows, as the model has it.
  void AmongAll(const float* points, const std::vector<int64_t>& places, float* squared) const {
    const int64_t dimensions = bank_.dimensions;
    std::vector<Found> best(places.size(), {-kNever, 0});
    Numbers turned(dimensions * kBlock);
    for (int64_t block = 0; block < bank_.rows; block += kBlock) {
      float start[kBlock];
      for (int64_t j = 0; j < kBlock; ++j) {  // the last row again and again, where there are no more
        start[j] = -norms_[std::min(block + j, bank_.rows - 1)] / 2;
        for (int64_t d = 0; d < dimensions; ++d) turned[d * kBlock + j] = Row(block + j)[d];
      }
      for (size_t first = 0; first < places.size(); first += kSide) {
        const float* some[kSide];
        for (size_t i = 0; i < kSide; ++i) some[i] = points + places[std::min(first + i, places.size() - 1)] * dimensions;
        float values[kSide][kBlock];
        Multiply(some, turned, start, values);
        for (size_t i = 0; i < kSide && first + i < places.size(); ++i)
          for (int64_t j = 0; j < kBlock; ++j)
            if (values[i][j] > best[first + i].value) best[first + i] = {values[i][j], block + j};
      }
    }
    for (size_t i = 0; i < places.size(); ++i)
      squared[places[i]] = SquaredDistance(points + places[i] * dimensions, Row(best[i].row), dimensions);
  }

  void Multiply(const float* const (&points)[kSide], const Numbers& rows, const float (&start)[kBlock],
                float (&values)[kSide][kBlock]) const {
    Floats sums[kSide][kBlock / kLanes];
    for (auto& each : sums) std::memcpy(each, start, sizeof(each));
    for (int64_t d = 0; d < bank_.dimensions; ++d)
      for (int64_t j = 0; j < kBlock / kLanes; ++j) {
        const Floats some = Load<Floats>(&rows[d * kBlock + j * kLanes]);
        for (int i = 0; i < kSide; ++i) sums[i][j] += points[i][d] * some;
      }
    std::memcpy(values, sums, sizeof(values));
  }

  struct Found {
    float value;
    int64_t row;
  };

  const Numbers rows_, zero_, axes_;
  Numbers norms_, halves_;  // norms_: |m|^2
  std::vector<int8_t> codes_;
  std::vector<int32_t> starts_;
  float farthest_;
  Bank bank_;
};

}  // namespace

extern "C" __attribute__((visibility("default"))) Search* anomaly_make_search(Numbers rows, int64_t dimensions) {
  for (float value : rows)
    if (!std::isfinite(value)) return nullptr;
  return new BankSearch(std::move(rows), dimensions);
}
