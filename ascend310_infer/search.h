#ifndef ANOMALY_INFER_SEARCH_H_
#define ANOMALY_INFER_SEARCH_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

// The nearest rows of a memory bank, as PatchCore finds them in Python (patchcore/src/search.py).
class Search {
 public:
  virtual ~Search() = default;

  // D K: the product of a point with these is its shadow.
  virtual const std::vector<float>& Axes() const = 0;

  // The squared distances of N points, N D, with their shadows, N K, to the nearest row. By several threads at once.
  virtual void Squared(const float* points, const float* shadows, int64_t count, float* squared) const = 0;
};

inline constexpr int64_t kShadow = 128;  // K

// For rows of D numbers; null where no library for this processor lies beside this one.
std::shared_ptr<const Search> MakeSearch(std::vector<float> rows, int64_t dimensions);

// The function in such a library that makes one; null if a row is no number.
inline constexpr char kSearchMaker[] = "anomaly_make_search";
using SearchMaker = Search*(std::vector<float> rows, int64_t dimensions);

#endif  // ANOMALY_INFER_SEARCH_H_
