#ifndef ANOMALY_INFER_TIMING_H_
#define ANOMALY_INFER_TIMING_H_

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

class Stopwatch {
 public:
  double Milliseconds() const {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// Times of the same thing, many times over.
class Latencies {
 public:
  void Add(double milliseconds) { values_.push_back(milliseconds); }

  size_t Count() const { return values_.size(); }

  // Linear between neighbours, as numpy.quantile; at least one value must have been added.
  double Quantile(double part) const {
    std::vector<double> sorted = values_;
    std::sort(sorted.begin(), sorted.end());
    const double place = part * static_cast<double>(sorted.size() - 1);
    const size_t below = static_cast<size_t>(place);
    const size_t above = std::min(below + 1, sorted.size() - 1);
    return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
  }

  std::string Line() const {
    char text[128];
    std::snprintf(text, sizeof(text), "min %.3f  median %.3f  p95 %.3f  max %.3f", Quantile(0), Quantile(0.5),
                  Quantile(0.95), Quantile(1));
    return text;
  }

 private:
  std::vector<double> values_;
};

#endif  // ANOMALY_INFER_TIMING_H_
