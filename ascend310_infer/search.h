#ifndef ANOMALY_INFER_SEARCH_H_
#define ANOMALY_INFER_SEARCH_H_

#include <cstdint>
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

// Makes one for rows of D numbers; null if one of them is no number.
using SearchMaker = Search*(std::vector<float> rows, int64_t dimensions);
inline constexpr char kSearchMaker[] = "anomaly_make_search";

// Null where no library for this processor lies beside this one.
SearchMaker* FindSearchMaker();

#endif  // ANOMALY_INFER_SEARCH_H_
