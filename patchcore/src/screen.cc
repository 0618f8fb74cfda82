// Which rows of a memory bank could be among the nearest of a point (search.py says how that is known): products of
// small integers with all rows, of which the largest of each group of rows is kept, and, with the few groups that
// matter, once more. Compiled for the processor it runs on.

#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <numeric>
#include <vector>

namespace {

// kLanes: numbers in a vector; kTogether: rows that are multiplied together, as many as there are registers for; kLargest:
// of the integers of a row; Dot: adds the products of four bytes with four.
#if defined(__AVX512VNNI__)
constexpr int kLanes = 16, kTogether = 8, kLargest = 127;
typedef __m512i Bytes;
inline Bytes Dot(Bytes sum, Bytes points, Bytes rows) { return _mm512_dpbusd_epi32(sum, points, rows); }
inline Bytes All(int32_t value) { return _mm512_set1_epi32(value); }
inline uint32_t AtLeast(const float* a, const float* b) {
  return _mm512_cmp_ps_mask(_mm512_loadu_ps(a), _mm512_loadu_ps(b), _CMP_GE_OQ);
}
#elif defined(__AVX2__)
constexpr int kLanes = 8, kTogether = 4;
typedef __m256i Bytes;
#if defined(__AVXVNNI__)
constexpr int kLargest = 127;
inline Bytes Dot(Bytes sum, Bytes points, Bytes rows) { return _mm256_dpbusd_avx_epi32(sum, points, rows); }
#else
constexpr int kLargest = 63;  // since two products have to fit into 16 bits
inline Bytes Dot(Bytes sum, Bytes points, Bytes rows) {
  return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(points, rows), _mm256_set1_epi16(1)));
}
#endif
inline Bytes All(int32_t value) { return _mm256_set1_epi32(value); }
inline uint32_t AtLeast(const float* a, const float* b) {
  return _mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(a), _mm256_loadu_ps(b), _CMP_GE_OQ));
}
#else
#error "neither AVX2 nor VNNI"
#endif

constexpr int kZero = 128;   // what is added to the integers of a point
constexpr int kGroup = 16;   // rows
constexpr int kWide = 64;    // bytes; the width of all integers is a multiple of it
constexpr int kPoints = 2 * kLanes, kRows = 2 * kGroup;  // that one call multiplies
constexpr int kAtOnce = 128;  // points whose products stay at hand
constexpr float kUnit = 1.0f / (1 << 24);  // of rounding in single precision
constexpr float kRounder = 3 << 22;  // added and taken off, it leaves the nearest whole number
constexpr float kNever = std::numeric_limits<float>::infinity();
typedef float Floats __attribute__((vector_size(4 * kLanes)));
typedef int32_t Integers __attribute__((vector_size(4 * kLanes)));
typedef Integers Products[kRows][2];

int64_t Up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

template <typename Vector>
Vector Load(const void* from) {
  Vector value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

int32_t Four(const void* bytes) { return Load<int32_t>(bytes); }

template <typename Number, int kCount = kLanes, typename Vector>
Number Sum(const Vector& vector) {
  if constexpr (kCount == 1) {
    return Load<Number>(&vector);
  } else {
    typedef Number Half __attribute__((vector_size(sizeof(Number) * kCount / 2)));
    return Sum<Number, kCount / 2>(Load<Half>(&vector) + Load<Half>(reinterpret_cast<const Half*>(&vector) + 1));
  }
}

// Fetches what will be looked at soon.
void Fetch(const void* from, int64_t bytes) {
  for (int64_t i = 0; i < bytes; i += kWide) __builtin_prefetch(static_cast<const char*>(from) + i);
}

// Rows one after the other, with points of which four bytes each lie side by side.
void WithVectors(const int8_t* rows, const uint8_t* points, int64_t width, Products& found) {
  const uint8_t* const others = points + width * kLanes;
  for (int first = 0; first < kRows; first += kTogether) {
    Bytes sum[kTogether][2] = {};
    for (int64_t i = 0; i < width; i += 4) {
      const Bytes some = Load<Bytes>(points + i * kLanes), more = Load<Bytes>(others + i * kLanes);
      for (int r = 0; r < kTogether; ++r) {
        const Bytes row = All(Four(rows + (first + r) * width + i));
        sum[r][0] = Dot(sum[r][0], some, row);
        sum[r][1] = Dot(sum[r][1], more, row);
      }
    }
    std::memcpy(found[first], sum, sizeof(sum));
  }
}

#if defined(__AMX_INT8__) && defined(__AVX512VNNI__)
constexpr int kRequest = 0x1023, kTileData = 18;  // the system gives a process the large registers if it asks

bool HasMatrices() {
  static const bool has = syscall(SYS_arch_prctl, kRequest, kTileData) == 0;
  return has;
}

struct Matrices {
  Matrices() {
    struct alignas(64) {
      uint8_t kind = 1, start = 0, none[14] = {};
      uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
      uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
    } shapes;
    if (HasMatrices()) _tile_loadconfig(&shapes);
  }
  ~Matrices() {
    if (HasMatrices()) _tile_release();
  }
};

void WithMatrices(const int8_t* rows, const uint8_t* points, int64_t width, Products& found) {
  const uint8_t* const others = points + width * kLanes;
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (int64_t i = 0; i < width; i += kWide) {
    _tile_loadd(4, rows + i, width);
    _tile_loadd(5, rows + kGroup * width + i, width);
    _tile_loadd(6, points + i * kLanes, kWide);
    _tile_loadd(7, others + i * kLanes, kWide);
    _tile_dpbsud(0, 4, 6);
    _tile_dpbsud(1, 4, 7);
    _tile_dpbsud(2, 5, 6);
    _tile_dpbsud(3, 5, 7);
  }
  _tile_stored(0, &found[0][0], sizeof(found[0]));
  _tile_stored(1, &found[0][1], sizeof(found[0]));
  _tile_stored(2, &found[kGroup][0], sizeof(found[0]));
  _tile_stored(3, &found[kGroup][1], sizeof(found[0]));
}
#else
bool HasMatrices() { return false; }
struct Matrices {
  ~Matrices() {}
};
constexpr auto WithMatrices = WithVectors;
#endif

float SquaredDistance(const float* a, const float* b, int64_t count) {
  Floats sum = {};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const Floats apart = Load<Floats>(a + i) - Load<Floats>(b + i);
    sum += apart * apart;
  }
  float total = Sum<float>(sum);
  for (; i < count; ++i) total += (a[i] - b[i]) * (a[i] - b[i]);
  return total;
}

// As screen.py has it too.
struct Bank {
  int64_t rows, width, dimensions;  // width: of the integers
  const float* vectors;
  const int8_t* codes;         // the integers, with zeros up to whole kRows
  const float* halves;         // |ŷ|² / 2, likewise
  const int32_t* starts;       // what takes kZero out of a product, likewise
  float step, error, longest;  // of the integers, how far rounding moved a row at most, and the largest |ŷ|
};

// Likewise. What is asked about points: their vectors, shadows and slack; rows `from` to `to` do not count.
struct Asked {
  const float *values, *shadows, *slack;
  int64_t count, from, to;
};

struct Point {
  const float* values;
  const uint8_t* codes;
  float scale, length, error;  // length: |ŷ|²
};

// What stays for the next call of a thread: fresh memory costs more than what is written to it.
struct Room {
  std::vector<uint8_t> codes, aside;  // of points: one after the other, and side by side
  std::vector<Point> points;
  std::vector<float> half, scales, least;
  std::vector<float> best, highest;  // products: of each group and point, and of each point
  std::vector<int32_t> first;        // the group of the highest
  std::vector<int64_t> nearest;
  std::vector<std::vector<int64_t>> groups;
};

Room* MyRoom() {
  static thread_local Room room;
  return &room;
}

class Screening {
 public:
  Screening(const Bank& bank, const Asked& asked)
      : bank_(bank), rows_(Up(bank.rows, kRows)), whole_(Up(asked.count, kPoints)) {
    room_.half.assign(rows_, kNever);
    std::copy_n(bank.halves, bank.rows, room_.half.begin());
    std::fill(room_.half.begin() + asked.from, room_.half.begin() + asked.to, kNever);
    room_.points.resize(asked.count);
    room_.codes.resize(whole_ * bank.width);
    room_.aside.resize(whole_ * bank.width);
    room_.scales.assign(whole_, 0);
    for (int64_t i = 0; i < asked.count; ++i) {
      const float *const values = asked.values + i * bank.dimensions, *const shadow = asked.shadows + i * bank.width;
      uint8_t* const codes = &room_.codes[i * bank.width];
      room_.points[i] = Rounded(values, shadow, asked.slack[i], codes);
      room_.scales[i] = room_.points[i].scale;
      uint8_t* const aside = &room_.aside[i / kLanes * kLanes * bank.width + i % kLanes * 4];
      for (int64_t j = 0; j < bank.width; j += 4) std::memcpy(aside + j * kLanes, codes + j, 4);
    }
    room_.best.resize(rows_ / kGroup * whole_);
    Multiply();
  }

  // Squared distances that at least k rows are not beyond. With a k of 1 the row that each is to is kept.
  void Bounds(int64_t k, float* bounds) {
    const int64_t groups = rows_ / kGroup, wanted = std::min(k, groups), count = room_.points.size();
    std::vector<int64_t> order(groups);
    std::vector<int64_t>& nearest = room_.nearest;
    nearest.assign(count * wanted, -1);
    for (int64_t i = 0; i < count; ++i) {
      if (wanted == 1) {
        order[0] = room_.first[i];
        if (i + 1 < count) FetchGroup(room_.first[i + 1]);
      } else {
        std::iota(order.begin(), order.end(), 0);
        std::partial_sort(order.begin(), order.begin() + wanted, order.end(),
                          [&](int64_t a, int64_t b) { return Best(a)[i] > Best(b)[i]; });
      }
      for (int64_t g = 0; g < wanted; ++g) {
        int64_t& row = nearest[i * wanted + g];
        float highest = -kNever;
        OfGroup(room_.points[i], order[g], [&](int64_t other, float value) {
          if (value > highest) row = other, highest = value;
        });
        if (row >= 0) Fetch(bank_.vectors + row * bank_.dimensions, sizeof(float) * bank_.dimensions);
      }
    }
    for (int64_t i = 0; i < count; ++i) {
      bounds[i] = wanted < k ? kNever : 0;
      for (int64_t g = i * wanted; g < (i + 1) * wanted; ++g) {
        const float squared = nearest[g] < 0 ? kNever : Distance(i, nearest[g]);
        if (!(squared <= bounds[i])) bounds[i] = squared;  // what is no number stays that
      }
    }
  }

  // The row that the bound of a point is the squared distance of, if one alone is.
  int64_t First(int64_t number, int64_t k) const { return k == 1 ? room_.nearest[number] : -1; }

  // The groups that could hold rows as near as that: of each point.
  const std::vector<std::vector<int64_t>>& Groups(const float* bounds) const {
    std::vector<float>& least = room_.least;
    least.assign(whole_, kNever);
    room_.groups.resize(whole_);
    for (size_t i = 0; i < room_.points.size(); ++i) {
      least[i] = Least(room_.points[i], bounds[i]);
      room_.groups[i].clear();
    }
    for (int64_t group = 0; group < rows_ / kGroup; ++group)
      for (int64_t first = 0; first < whole_; first += kLanes)
        for (uint32_t mask = AtLeast(Best(group) + first, &least[first]); mask; mask &= mask - 1)
          room_.groups[first + __builtin_ctz(mask)].push_back(group);
    return room_.groups;
  }

  // What lies in many groups is better fetched when it is needed.
  void FetchFirst(const std::vector<int64_t>& groups) const {
    for (size_t g = 0; g < std::min<size_t>(groups.size(), 4); ++g) FetchGroup(groups[g]);
  }

  // Calls use(row, bound) for each row of a group that could be as near as that; it may lower the bound.
  template <typename Use>
  void Possible(int64_t number, int64_t group, float& bound, const Use& use) const {
    const Point& point = room_.points[number];
    float least = Least(point, bound);
    if (Best(group)[number] < least) return;
    OfGroup(point, group, [&](int64_t row, float value) {
      if (value < least) return;
      use(row, bound);
      least = Least(point, bound);
    });
  }

  float Distance(int64_t number, int64_t row) const {
    return SquaredDistance(room_.points[number].values, bank_.vectors + row * bank_.dimensions, bank_.dimensions);
  }

 private:
  void FetchGroup(int64_t group) const {
    Fetch(bank_.codes + group * kGroup * bank_.width, kGroup * bank_.width);
  }

  float* Best(int64_t group) const { return &room_.best[group * whole_]; }

  Point Rounded(const float* values, const float* shadow, float slack, uint8_t* codes) const {
    Floats highest = {};
    for (int64_t i = 0; i < bank_.width; i += kLanes) {
      const Floats value = Load<Floats>(shadow + i), size = value < 0 ? -value : value;
      highest = size > highest ? size : highest;
    }
    float largest = 0;
    for (int lane = 0; lane < kLanes; ++lane) largest = std::max(largest, highest[lane]);
    const float step = largest > 0 ? largest / (kZero - 1) : 1, steps = 1 / step;
    Floats lengths = {}, apart = {};
    for (int64_t i = 0; i < bank_.width; i += kLanes) {
      const Floats value = Load<Floats>(shadow + i), code = (value * steps + kRounder) - kRounder;
      const Floats moved = value - code * step;
      lengths += code * code;
      apart += moved * moved;
      const Integers whole = __builtin_convertvector(code, Integers) + kZero;
      for (int lane = 0; lane < kLanes; ++lane) codes[i + lane] = static_cast<uint8_t>(whole[lane]);
    }
    const float length = Sum<float>(lengths), moved = Sum<float>(apart);
    return {values, codes, step * bank_.step, length * step * step, std::sqrt(moved) + bank_.error + slack};
  }

  // The product that a row has at least which is so near; what single precision may round away is taken off.
  float Least(const Point& point, float bound) const {
    const float reach = std::sqrt(bound) + point.error, both = std::sqrt(point.length) + bank_.longest;
    return (point.length - reach * reach) / 2 - 8 * kUnit * both * both;
  }

  void Multiply() {
    const Matrices matrices;
    const auto multiply = HasMatrices() ? WithMatrices : WithVectors;
    Products found;
    room_.first.assign(whole_, 0);
    room_.highest.assign(whole_, -kNever);
    for (int64_t row = 0; row < rows_; row += kRows)
      for (int64_t first = 0; first < whole_; first += kPoints) {
        multiply(bank_.codes + row * bank_.width, &room_.aside[first * bank_.width], bank_.width, found);
        for (int side = 0; side < 2; ++side)
          for (int64_t group = row / kGroup; group < (row + kRows) / kGroup; ++group)
            Keep(group, first + side * kLanes, &found[group * kGroup - row][side]);
      }
  }

  void Keep(int64_t group, int64_t first, const Integers* sums) {
    const Floats scale = Load<Floats>(&room_.scales[first]);
    Floats top = Floats{} - kNever;
    for (int r = 0; r < kGroup; ++r) {
      const int64_t row = group * kGroup + r;
      const Floats value = __builtin_convertvector(sums[2 * r] + bank_.starts[row], Floats) * scale - room_.half[row];
      top = value > top ? value : top;
    }
    std::memcpy(Best(group) + first, &top, sizeof(top));
    const Floats before = Load<Floats>(&room_.highest[first]);
    const Integers better = top > before, here = Integers{} + static_cast<int32_t>(group);
    const Floats highest = better ? top : before;
    const Integers where = better ? here : Load<Integers>(&room_.first[first]);
    std::memcpy(&room_.highest[first], &highest, sizeof(highest));
    std::memcpy(&room_.first[first], &where, sizeof(where));
  }

  // Calls use(row, product) for the rows of a group that count.
  template <typename Use>
  void OfGroup(const Point& point, int64_t group, const Use& use) const {
    for (int64_t row = group * kGroup; row < (group + 1) * kGroup; ++row) {
      if (room_.half[row] == kNever) continue;
      Bytes sum = All(0);
      const int8_t* const codes = bank_.codes + row * bank_.width;
      for (int64_t i = 0; i < bank_.width; i += sizeof(Bytes))
        sum = Dot(sum, Load<Bytes>(point.codes + i), Load<Bytes>(codes + i));
      const float product = Sum<int32_t>(sum) + bank_.starts[row];
      use(row, product * point.scale - room_.half[row]);
    }
  }

  const Bank& bank_;
  const int64_t rows_, whole_;  // padded numbers of rows and points
  Room& room_ = *MyRoom();
};

// Calls use(screening, first, count) for some points after the others.
template <typename Use>
void InParts(const Bank& bank, const Asked& asked, const Use& use) {
  for (int64_t first = 0; first < asked.count; first += kAtOnce) {
    const int64_t count = std::min<int64_t>(kAtOnce, asked.count - first);
    const float* const values = asked.values + first * bank.dimensions;
    Screening some(bank, {values, asked.shadows + first * bank.width, asked.slack + first, count, asked.from, asked.to});
    use(some, first, count);
  }
}

struct Found {
  float squared;
  int64_t row;
};

}  // namespace

extern "C" {

int Rows() { return kRows; }
int Largest() { return kLargest; }

// Squared distances that a row at least is not beyond.
void Near(const Bank* bank, const Asked* asked, float* bounds) {
  InParts(*bank, *asked, [&](Screening& some, int64_t first, int64_t) { some.Bounds(1, bounds + first); });
}

// The rows that could be among the nearest k, rising, `room` for each point. counts: how many; -1 where there are more
// than that, or more than `most` whose distances had to be computed. With `known`, squared distances, a row counts only
// if it could be nearer than that, and k is 1.
void Nearest(const Bank* bank, const Asked* asked, int64_t k, int64_t most, int64_t room, const float* known,
             int32_t* rows, int32_t* counts) {
  const float more = 1 + 8 * (bank->dimensions + 2) * kUnit;  // a distance is off by less
  std::vector<float> bounds(kAtOnce), order;
  std::vector<Found> found;
  InParts(*bank, *asked, [&](Screening& some, int64_t first, int64_t count) {
    if (known)
      std::copy_n(known + first, count, bounds.data());
    else
      some.Bounds(k, bounds.data());
    const auto& groups = some.Groups(bounds.data());
    for (int64_t i = 0; i < count; ++i) {
      if (i + 1 < count) some.FetchFirst(groups[i + 1]);
      found.clear();
      const float before = bounds[i];
      for (size_t g = 0; g < groups[i].size() && static_cast<int64_t>(found.size()) <= most; ++g)
        some.Possible(i, groups[i][g], bounds[i], [&](int64_t row, float& bound) {
          const bool again = !known && row == some.First(i, k);
          found.push_back({again ? before : some.Distance(i, row), row});
          if (k == 1) bound = std::min(bound, found.back().squared);
        });
      const int64_t size = found.size();
      counts[first + i] = -1;
      if (size > most || (size < k && !known)) continue;
      float limit = bounds[i];
      if (k > 1) {
        order.clear();
        for (const Found& each : found) order.push_back(each.squared);
        std::nth_element(order.begin(), order.begin() + k - 1, order.end());
        limit = order[k - 1];
      }
      int64_t kept = 0;
      for (const Found& each : found)
        if (each.squared <= limit * more && kept++ < room) rows[(first + i) * room + kept - 1] = each.row;
      if (kept <= room) counts[first + i] = kept;
    }
  });
}

}  // extern "C"
