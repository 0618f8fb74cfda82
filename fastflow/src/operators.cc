// Convolutions of B C H W in float32, of 3 x 3 or 1 x 1, with zeros beyond the border, and their gradients: operators of
// their own for MindSpore on a CPU, whose convolutions take more than twice as long. Compiled for the processor it runs
// on. What is summed stays in registers while all that it is a sum of goes by.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <functional>
#include <sched.h>
#include <thread>
#include <vector>

namespace {

// Numbers in a vector, channels of a tile, and channels whose products with a vector are summed at once: as many as there
// are registers for.
#if defined(__AVX512F__)
constexpr int kLanes = 16, kOutputs = 8, kInputs = 4;
#elif defined(__AVX2__)
constexpr int kLanes = 8, kOutputs = 4, kInputs = 2;
#else
constexpr int kLanes = 4, kOutputs = 8, kInputs = 4;
#endif
constexpr int kWide = 2;  // vectors of a tile
constexpr int kRows = 4;  // of a photograph that a gradient looks at while they are at hand
typedef float Lanes __attribute__((vector_size(4 * kLanes), aligned(4)));

struct Shape {
  int64_t images, channels, height, width;
};

int64_t Up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

// The same number at every call, since rooms are as large as it says.
int Cores() {
  static const int cores = [] {
    cpu_set_t set;
    return sched_getaffinity(0, sizeof(set), &set) ? 1 : std::max(1, CPU_COUNT(&set));
  }();
  return cores;
}

// Calls work(item, thread) for all items, in threads.
void Parallel(int64_t items, const std::function<void(int64_t, int64_t)>& work) {
  std::atomic<int64_t> next{0};
  auto loop = [&](int64_t thread) {
    for (int64_t i = next++; i < items; i = next++) work(i, thread);
  };
  std::vector<std::thread> others;
  for (int64_t i = 1; i < std::min<int64_t>(Cores(), items); ++i) others.emplace_back(loop, i);
  loop(0);
  for (auto& each : others) each.join();
}

// Room for so many numbers, which stays for the next call: fresh memory costs more than what is written to it.
float* Room(int64_t numbers) {
  thread_local std::vector<float> room;
  if (room.size() < static_cast<size_t>(numbers)) room.resize(numbers);
  return room.data();
}

// Channels with zeros around them, in rows that hold whole vectors.
struct Padded {
  int64_t border, rows, columns;
  float* values;

  Padded(const Shape& shape, int64_t border, float* values)
      : border(border), rows(shape.height + 2 * border), columns(Up(shape.width, kLanes) + 2 * border), values(values) {}
  // With a vector more, which may be looked at.
  int64_t Size(int64_t channels) const { return channels * rows * columns + kLanes; }
  float* channel(int64_t number) const { return values + number * rows * columns; }

  void Fill(int64_t number, const float* source, const Shape& shape) {
    float* target = channel(number);
    std::memset(target, 0, 4 * border * columns);
    for (int64_t y = 0; y < shape.height; ++y) {
      float* row = target + (y + border) * columns;
      std::memset(row, 0, 4 * border);
      std::memcpy(row + border, source + y * shape.width, 4 * shape.width);
      std::memset(row + border + shape.width, 0, 4 * (columns - border - shape.width));
    }
    std::memset(target + (rows - border) * columns, 0, 4 * border * columns);
  }
};

// Weights of kOutputs channels side by side: block, input, place, channel.
std::vector<float> Packed(const float* weight, int64_t outputs, int64_t inputs, int64_t places, bool turned) {
  const int64_t blocks = Up(outputs, kOutputs) / kOutputs;
  std::vector<float> packed(blocks * inputs * places * kOutputs);
  for (int64_t o = 0; o < outputs; ++o)
    for (int64_t i = 0; i < inputs; ++i)
      for (int64_t p = 0; p < places; ++p)
        packed[((o / kOutputs * inputs + i) * places + p) * kOutputs + o % kOutputs] =
            turned ? weight[(i * outputs + o) * places + places - 1 - p] : weight[(o * inputs + i) * places + p];
  return packed;
}

// One tile: kOutputs channels of kWide vectors; vector v begins at start[v] of a padded channel.
template <int K>
void Tile(const Padded& source, int64_t inputs, const float* weight, const int64_t* start, Lanes (*sums)[kWide]) {
  Lanes sum[kOutputs][kWide] = {};
  for (int64_t i = 0; i < inputs; ++i) {
    const float* channel = source.channel(i);
    for (int y = 0; y < K; ++y)
      for (int x = 0; x < K; ++x, weight += kOutputs) {
        const float* place = channel + y * source.columns + x;
        Lanes value[kWide];
        for (int v = 0; v < kWide; ++v) value[v] = *reinterpret_cast<const Lanes*>(place + start[v]);
        for (int o = 0; o < kOutputs; ++o)
          for (int v = 0; v < kWide; ++v) sum[o][v] += value[v] * weight[o];
      }
  }
  std::memcpy(sums, sum, sizeof(sum));
}

template <int K>
void Convolve(const float* x, const Shape& shape, const float* weight, int64_t outputs, bool turned, float* y) {
  const int64_t area = shape.height * shape.width, across = Up(shape.width, kLanes) / kLanes;
  const std::vector<float> packed = Packed(weight, outputs, shape.channels, K * K, turned);
  const int64_t blocks = Up(outputs, kOutputs) / kOutputs;
  const int64_t parts = std::min(blocks, Up(2 * Cores(), shape.images) / shape.images);
  const int64_t size = Padded(shape, K / 2, nullptr).Size(shape.channels);
  float* const room = Room(size * Cores());
  Parallel(shape.images * parts, [&](int64_t item, int64_t thread) {
    const int64_t image = item / parts, part = item % parts;
    Padded source(shape, K / 2, room + thread * size);
    for (int64_t c = 0; c < shape.channels; ++c) source.Fill(c, x + (image * shape.channels + c) * area, shape);
    const int64_t vectors = shape.height * across;
    for (int64_t first = 0; first < vectors; first += kWide)
      for (int64_t block = part * blocks / parts; block < (part + 1) * blocks / parts; ++block) {
        int64_t start[kWide];
        for (int v = 0; v < kWide; ++v) {
          const int64_t number = std::min(first + v, vectors - 1);
          start[v] = number / across * source.columns + number % across * kLanes;
        }
        Lanes sums[kOutputs][kWide];
        Tile<K>(source, shape.channels, &packed[block * shape.channels * K * K * kOutputs], start, sums);
        for (int64_t o = 0; o < std::min<int64_t>(kOutputs, outputs - block * kOutputs); ++o)
          for (int64_t v = 0; v < std::min<int64_t>(kWide, vectors - first); ++v) {
            const int64_t row = (first + v) / across, column = (first + v) % across * kLanes;
            float* target = y + (image * outputs + block * kOutputs + o) * area + row * shape.width + column;
            std::memcpy(target, &sums[o][v], 4 * std::min<int64_t>(kLanes, shape.width - column));
          }
      }
  });
}

// Places of an image one after the other, with the channels of `wide` vectors side by side; zeros where there is none.
void Turn(const float* source, int64_t channels, int64_t area, int64_t wide, float* target) {
  constexpr int64_t kAtOnce = 16;
  for (int64_t first = 0; first < area; first += kAtOnce)
    for (int64_t c = 0; c < wide; ++c)
      for (int64_t p = first; p < std::min(first + kAtOnce, area); ++p)
        target[p * wide + c] = c < channels ? source[c * area + p] : 0;
}

// Adds to sums[input][x][vector] the products of some rows of gradients with kInputs channels, `place` being where these
// begin.
template <int K, int V>
void Products(const float* gradient, int64_t rows, int64_t width, const float* place, int64_t columns, int64_t channel,
              Lanes (*sums)[K][V]) {
  Lanes sum[kInputs][K][V];
  std::memcpy(sum, sums, sizeof(sum));
  for (int64_t row = 0; row < rows; ++row, place += columns)
    for (int64_t column = 0; column < width; ++column, gradient += V * kLanes) {
      Lanes value[V];
      for (int v = 0; v < V; ++v) value[v] = *reinterpret_cast<const Lanes*>(gradient + v * kLanes);
      for (int i = 0; i < kInputs; ++i)
        for (int x = 0; x < K; ++x) {
          const float other = place[i * channel + column + x];
          for (int v = 0; v < V; ++v) sum[i][x][v] += value[v] * other;
        }
    }
  std::memcpy(sums, sum, sizeof(sum));
}

// The gradient to the weights between kInputs channels and those of V vectors, of all images.
template <int K, int V>
void ToSome(const Padded& source, int64_t all_in, int64_t input, const float* turned, int64_t apart, const Shape& shape,
            const std::function<void(int64_t, int64_t, int, int, float)>& store) {
  Lanes sums[K][kInputs][K][V] = {};
  const int64_t channel = source.rows * source.columns;
  for (int64_t image = 0; image < shape.images; ++image)
    for (int64_t from = 0; from < shape.height; from += kRows)
      for (int y = 0; y < K; ++y)
        Products<K, V>(turned + image * apart + from * shape.width * V * kLanes,
                       std::min<int64_t>(kRows, shape.height - from), shape.width,
                       source.channel(image * all_in + input) + (from + y) * source.columns, source.columns, channel,
                       sums[y]);
  for (int i = 0; i < kInputs; ++i)
    for (int o = 0; o < V * kLanes; ++o)
      for (int y = 0; y < K; ++y)
        for (int x = 0; x < K; ++x) store(o, input + i, y, x, sums[y][i][x][o / kLanes][o % kLanes]);
}

template <int K>
void ToWeight(const float* dy, const float* x, const Shape& shape, int64_t outputs, float* dw) {
  constexpr int64_t kTwo = 2 * kLanes;
  const int64_t area = shape.height * shape.width, inputs = shape.channels;
  const int64_t all_in = Up(inputs, kInputs), all_out = Up(outputs, kLanes);  // what is beyond counts for nothing
  const int64_t blocks = Up(all_out, kTwo) / kTwo;
  const int64_t size = shape.images * all_out * area;
  Padded source(shape, K / 2, nullptr);
  float* const turned = Room(size + source.Size(shape.images * all_in));
  source.values = turned + size;
  const std::vector<float> nothing(all_in > inputs ? area : 0);
  auto wide = [&](int64_t block) { return std::min(kTwo, all_out - block * kTwo); };
  Parallel(shape.images * (all_in + blocks), [&](int64_t item, int64_t) {
    const int64_t image = item / (all_in + blocks), c = item % (all_in + blocks), block = c - all_in;
    if (c < all_in)
      source.Fill(image * all_in + c, c < inputs ? x + (image * inputs + c) * area : nothing.data(), shape);
    else
      Turn(dy + (image * outputs + block * kTwo) * area, outputs - block * kTwo, area, wide(block),
           &turned[(shape.images * block * kTwo + image * wide(block)) * area]);
  });
  Parallel(blocks * all_in / kInputs, [&](int64_t item, int64_t) {
    const int64_t block = item % blocks, input = item / blocks * kInputs;
    (wide(block) == kTwo ? ToSome<K, 2> : ToSome<K, 1>)(
        source, all_in, input, &turned[shape.images * block * kTwo * area], wide(block) * area, shape,
        [&](int64_t o, int64_t i, int y, int k, float value) {
          o += block * kTwo;
          if (o < outputs && i < inputs) dw[((o * inputs + i) * K + y) * K + k] = value;
        });
  });
}

// e to the power of x, for |x| up to 80.
Lanes Exp(Lanes x) {
  typedef int32_t Whole __attribute__((vector_size(4 * kLanes), aligned(4)));
  constexpr float kRounder = 3 << 22;  // added and taken off, it leaves the nearest whole number
  const Lanes power = (x * 1.44269504f + kRounder) - kRounder;
  const Lanes rest = (x - power * 0.693359375f) + power * 2.12194440e-4f;  // of log 2, in two parts
  Lanes sum = rest * (1.0f / 5040) + 1.0f / 720;
  for (float each : {1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f}) sum = sum * rest + each;
  const Whole bits = (__builtin_convertvector(power, Whole) + 127) << 23;
  Lanes scale;
  std::memcpy(&scale, &bits, sizeof(scale));
  return sum * scale;
}

Lanes Tanh(Lanes x) {
  const Lanes limit = x > 10.0f ? Lanes{} + 10.0f : x < -10.0f ? Lanes{} - 10.0f : x, square = limit * limit;
  Lanes series = square * (-1382.0f / 155925) + 62.0f / 2835;
  for (float each : {-17.0f / 315, 2.0f / 15, -1.0f / 3, 1.0f}) series = series * square + each;
  const Lanes far = 1.0f - 2.0f / (Exp(2.0f * limit) + 1.0f);
  return square < 0.0625f ? limit * series : far;
}

// A row of numbers in whole vectors and a rest of the last one, which is done in a copy.
template <int kIn, int kOut, typename Work>
void Along(int64_t count, const float* const (&from)[kIn], float* const (&to)[kOut], const Work& work) {
  Lanes in[kIn], out[kOut];
  for (int64_t i = 0; i < count; i += kLanes) {
    const size_t bytes = 4 * std::min<int64_t>(kLanes, count - i);
    for (int n = 0; n < kIn; ++n) {
      if (bytes < sizeof(Lanes)) in[n] = Lanes{};
      std::memcpy(&in[n], from[n] + i, bytes);
    }
    work(in, out);
    for (int n = 0; n < kOut; ++n) std::memcpy(to[n] + i, &out[n], bytes);
  }
}

float Sum(const Lanes& value) {
  float total = 0;
  for (int lane = 0; lane < kLanes; ++lane) total += value[lane];
  return total;
}

// What a step of the flow does beside its convolutions (coupling.py): the channels of both halves, and where they go.
struct Halves {
  int64_t images, first, second, area;
  float clamp;

  Halves(const int64_t* one, const int64_t* other, const float* clamp)
      : images(one[0]), first(one[1]), second(other[1]), area(one[2] * one[3]), clamp(*clamp) {}
  int64_t channels() const { return first + second; }
  // Where a channel of an image begins in what is kept as two halves.
  template <typename Number>
  Number* Place(Number* one, Number* other, int64_t image, int64_t channel) const {
    return channel < first ? one + (image * first + channel) * area
                           : other + (image * second + channel - first) * area;
  }
};

Shape ShapeOf(const int64_t* sizes) { return {sizes[0], sizes[1], sizes[2], sizes[3]}; }

}  // namespace

// As MindSpore calls them: inputs, then the output.
extern "C" int Forward(int, void** values, int*, int64_t** sizes, const char**, void*, void*) {
  const float* x = static_cast<const float*>(values[0]);
  const float* w = static_cast<const float*>(values[1]);
  (sizes[1][2] == 3 ? Convolve<3> : Convolve<1>)(x, ShapeOf(sizes[0]), w, sizes[1][0], false,
                                                 static_cast<float*>(values[2]));
  return 0;
}

extern "C" int ToInput(int, void** values, int*, int64_t** sizes, const char**, void*, void*) {
  const float* dy = static_cast<const float*>(values[0]);
  const float* w = static_cast<const float*>(values[1]);
  (sizes[1][2] == 3 ? Convolve<3> : Convolve<1>)(dy, ShapeOf(sizes[0]), w, sizes[1][1], true,
                                                 static_cast<float*>(values[2]));
  return 0;
}

extern "C" int ToWeights(int, void** values, int*, int64_t** sizes, const char**, void*, void*) {
  const float* dy = static_cast<const float*>(values[0]);
  const float* x = static_cast<const float*>(values[1]);
  (sizes[2][2] == 3 ? ToWeight<3> : ToWeight<1>)(dy, x, ShapeOf(sizes[1]), sizes[0][1],
                                                 static_cast<float*>(values[3]));
  return 0;
}

// x1, x2, the subnet's output, scale, offset, the order of channels, clamp -> y1, y2, tanh.
extern "C" int Couple(int, void** values, int*, int64_t** sizes, const char**, void*, void*) {
  float* at[10];
  for (int i = 0; i < 10; ++i) at[i] = static_cast<float*>(values[i]);
  const Halves halves(sizes[0], sizes[1], at[6]);
  const int32_t* const order = static_cast<const int32_t*>(values[5]);
  Parallel(halves.images * halves.channels(), [&](int64_t item, int64_t) {
    const int64_t image = item / halves.channels(), target = item % halves.channels(), source = order[target];
    const float scale = at[3][source], offset = at[4][source];
    const float* const x = halves.Place<const float>(at[0], at[1], image, source);
    float* const y = halves.Place(at[7], at[8], image, target);
    if (source < halves.first) {
      Along<1, 1>(halves.area, {x}, {y}, [&](const Lanes* in, Lanes* out) { out[0] = in[0] * scale + offset; });
      return;
    }
    const int64_t channel = source - halves.first;
    const float* const a = at[2] + (image * 2 * halves.second + channel) * halves.area;
    float* const tanh = at[9] + (image * halves.second + channel) * halves.area;
    Along<3, 2>(halves.area, {x, a, a + halves.second * halves.area}, {y, tanh}, [&](const Lanes* in, Lanes* out) {
      out[1] = Tanh(in[1]);
      out[0] = (in[0] * Exp(out[1] * halves.clamp) + in[2]) * scale + offset;
    });
  });
  return 0;
}

// The same seven, tanh, and the gradients to y1, y2 and tanh -> those to x1, x2, the subnet's output, scale and offset.
extern "C" int Uncouple(int, void** values, int*, int64_t** sizes, const char**, void*, void*) {
  float* at[16];
  for (int i = 0; i < 16; ++i) at[i] = static_cast<float*>(values[i]);
  const Halves halves(sizes[0], sizes[1], at[6]);
  const int32_t* const order = static_cast<const int32_t*>(values[5]);
  Parallel(halves.channels(), [&](int64_t target, int64_t) {
    const int64_t source = order[target], channel = source - halves.first;
    const float scale = at[3][source];
    Lanes to_scale = {}, to_offset = {};
    for (int64_t image = 0; image < halves.images; ++image) {
      const float* const x = halves.Place<const float>(at[0], at[1], image, source);
      const float* const dy = halves.Place<const float>(at[8], at[9], image, target);
      float* const dx = halves.Place(at[11], at[12], image, source);
      if (channel < 0) {
        Along<2, 1>(halves.area, {x, dy}, {dx}, [&](const Lanes* in, Lanes* out) {
          to_scale += in[0] * in[1];
          to_offset += in[1];
          out[0] = in[1] * scale;
        });
        continue;
      }
      const int64_t half = halves.second * halves.area, place = (image * halves.second + channel) * halves.area;
      const float* const t = at[2] + image * half + half + place;
      float* const da = at[13] + image * half + place;
      Along<5, 3>(halves.area, {x, dy, t, at[7] + place, at[10] + place}, {dx, da, da + half},
                  [&](const Lanes* in, Lanes* out) {
                    const Lanes stretch = Exp(in[3] * halves.clamp), dv = in[1] * scale;
                    to_scale += in[1] * (in[0] * stretch + in[2]);
                    to_offset += in[1];
                    out[0] = dv * stretch;
                    out[1] = (out[0] * in[0] * halves.clamp + in[4]) * (1.0f - in[3] * in[3]);
                    out[2] = dv;
                  });
    }
    at[14][source] = Sum(to_scale);
    at[15][source] = Sum(to_offset);
  });
  return 0;
}
