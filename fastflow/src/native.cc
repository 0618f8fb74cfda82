// The flow of one scale (coupling.py), B C H W in float32, its likelihood and the gradients of that, in one call each:
// what takes MindSpore some hundred operations, which it first makes a graph of. Compiled for the processor it runs on.
// In a convolution, what is summed stays in registers while all that it is a sum of goes by.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <numeric>
#include <sched.h>
#include <thread>
#include <vector>

namespace {

// Numbers in a vector, channels and vectors of a tile, and channels whose products with a vector are summed at once: as
// many as there are registers for.
#if defined(__AVX512F__)
constexpr int kLanes = 16, kOutputs = 8, kWide = 2, kInputs = 4;
#elif defined(__AVX2__)
constexpr int kLanes = 8, kOutputs = 4, kWide = 3, kInputs = 2;
#else
constexpr int kLanes = 4, kOutputs = 8, kWide = 2, kInputs = 4;
#endif
constexpr int kRows = 4;  // of a photograph that a gradient looks at while they are at hand
typedef float Lanes __attribute__((vector_size(4 * kLanes)));
typedef float Loose __attribute__((vector_size(4 * kLanes), aligned(4)));  // the same, anywhere in memory

// Some channels of images that have more: `apart` is from one image to the next.
struct Shape {
  int64_t images, channels, height, width, apart;
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
__attribute__((noinline)) void Tile(const Padded& source, int64_t inputs, const float* weight, const int64_t* start,
                                    Lanes (*sums)[kWide]) {
  Lanes sum[kOutputs][kWide] = {};
  for (int64_t i = 0; i < inputs; ++i) {
    const float* channel = source.channel(i);
    for (int y = 0; y < K; ++y)
      for (int x = 0; x < K; ++x, weight += kOutputs) {
        const float* place = channel + y * source.columns + x;
        Lanes value[kWide];
        for (int v = 0; v < kWide; ++v) {
          value[v] = *reinterpret_cast<const Loose*>(place + start[v]);
#if defined(__x86_64__)
          asm("" : "+v"(value[v]));  // it stays in its register, or the compiler reads it again for each product
#endif
        }
        for (int o = 0; o < kOutputs; ++o)
          for (int v = 0; v < kWide; ++v) sum[o][v] += value[v] * weight[o];
      }
  }
  std::memcpy(sums, sum, sizeof(sum));
}

// Whole vectors, or the beginning of one.
Lanes Get(const float* source, size_t bytes = sizeof(Lanes)) {
  Lanes value = {};
  if (bytes == sizeof(Lanes)) return *reinterpret_cast<const Loose*>(source);
  std::memcpy(&value, source, bytes);
  return value;
}

void Put(float* target, const Lanes& value, size_t bytes = sizeof(Lanes)) {
  if (bytes == sizeof(Lanes))
    *reinterpret_cast<Loose*>(target) = value;
  else
    std::memcpy(target, &value, bytes);
}

// Calls store(image, channel, place, bytes, sums) with so much of a vector as lies in a row; `turned`: for the gradient to
// what the weights were multiplied with.
template <int K, typename Store>
void Convolve(const float* x, const Shape& shape, const float* weight, int64_t outputs, bool turned, const Store& store) {
  const int64_t area = shape.height * shape.width, across = Up(shape.width, kLanes) / kLanes;
  const std::vector<float> packed = Packed(weight, outputs, shape.channels, K * K, turned);
  const int64_t blocks = Up(outputs, kOutputs) / kOutputs;
  const int64_t parts = std::min(blocks, Up(2 * Cores(), shape.images) / shape.images);
  const int64_t size = Padded(shape, K / 2, nullptr).Size(shape.channels);
  float* const room = Room(size * Cores());
  Parallel(shape.images * parts, [&](int64_t item, int64_t thread) {
    const int64_t image = item / parts, part = item % parts;
    Padded source(shape, K / 2, room + thread * size);
    for (int64_t c = 0; c < shape.channels; ++c) source.Fill(c, x + image * shape.apart + c * area, shape);
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
            store(image, block * kOutputs + o, row * shape.width + column,
                  4 * std::min<int64_t>(kLanes, shape.width - column), sums[o][v]);
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
      for (int v = 0; v < V; ++v) value[v] = *reinterpret_cast<const Loose*>(gradient + v * kLanes);
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

// Adds the gradient to the weights, times a factor. All channels of dy count.
template <int K>
void ToWeight(const float* dy, const float* x, const Shape& shape, int64_t outputs, float factor, float* dw) {
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
      source.Fill(image * all_in + c, c < inputs ? x + image * shape.apart + c * area : nothing.data(), shape);
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
          if (o < outputs && i < inputs) dw[((o * inputs + i) * K + y) * K + k] += factor * value;
        });
  });
}

// e to the power of x, for |x| up to 80.
Lanes Exp(Lanes x) {
  typedef int32_t Whole __attribute__((vector_size(4 * kLanes)));
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

// A row of numbers in whole vectors and a rest of the last one, beyond which are zeros.
template <int kIn, int kOut, typename Work>
void Along(int64_t count, const float* const (&from)[kIn], float* const (&to)[kOut], const Work& work) {
  Lanes in[kIn], out[kOut];
  for (int64_t i = 0; i < count; i += kLanes) {
    const size_t bytes = 4 * std::min<int64_t>(kLanes, count - i);
    for (int n = 0; n < kIn; ++n) in[n] = Get(from[n] + i, bytes);
    work(in, out);
    for (int n = 0; n < kOut; ++n) Put(to[n] + i, out[n], bytes);
  }
}

float Sum(const Lanes& value) {
  float total = 0;
  for (int lane = 0; lane < kLanes; ++lane) total += value[lane];
  return total;
}

constexpr float kGain = 0.1f;      // of the subnet's output
constexpr float kEpsilon = 1e-5f;  // of the normalisation

// The sum of of(vector) over all that there is.
template <typename Of>
double Total(const float* values, int64_t count, const Of& of) {
  Lanes total = {};
  int64_t done = 0;
  for (; done + kLanes <= count; done += kLanes) total += of(Get(values + done));
  const Lanes rest = of(Get(values + done, 4 * (count - done)));
  for (int64_t lane = 0; lane < count - done; ++lane) total[lane] += rest[lane];
  return Sum(total);
}

enum Number { kScale, kOffset, kWeight1, kBias1, kWeight2, kBias2, kNumbers };

}  // namespace

// As native_scale.py has them too.
struct Step {
  const float* number[kNumbers];
  float* gradient[kNumbers];  // what is added to
  const int32_t* order;       // where the channels of what it gives are taken from
  int64_t kernel;
};

struct Flow {
  int64_t images, channels, height, width, hidden, steps;
  float clamp;
  const float *weight, *bias;  // of the normalisation
  float *to_weight, *to_bias;
  const Step* step;
  float* room;

  int64_t area() const { return height * width; }
  int64_t second() const { return channels / 2; }
  int64_t first() const { return channels - second(); }
  int64_t whole() const { return images * channels * area(); }
  int64_t inner() const { return images * hidden * area(); }
  int64_t coupled() const { return 2 * images * second() * area(); }
  // In the room: what goes into each step and is inside of it, what the last one gives; then room for gradients.
  float* x(int64_t number) const { return room + number * (whole() + inner() + coupled()); }
  float* inside(int64_t number) const { return x(number) + whole(); }
  float* a(int64_t number) const { return inside(number) + inner(); }  // tanh of the first half in place of that half
  float* z() const { return x(steps); }
  int64_t Room() const { return x(steps) - room + 3 * whole() + inner() + coupled(); }
  Shape Of(int64_t some, int64_t apart) const { return {images, some, height, width, apart * area()}; }
};

struct Learned {
  float *value, *moment1, *moment2, *gradient;
  int64_t size;
};

namespace {

float Positive(float g) { return 0.2f * std::log1p(std::exp(0.5f * g)); }
float PositiveSlope(float g) { return 0.1f / (1 + std::exp(-0.5f * g)); }

struct Moments {
  float mean, inverse;  // of the deviation
};

std::vector<Moments> MomentsOf(const Flow& flow, const float* x) {
  std::vector<Moments> found(flow.images);
  const int64_t count = flow.channels * flow.area();
  Parallel(flow.images, [&](int64_t image, int64_t) {
    const float* const values = x + image * count;
    double total = 0, squares = 0;  // by channels, since long sums of floats lose
    for (int64_t c = 0; c < flow.channels; ++c)
      total += Total(values + c * flow.area(), flow.area(), [](const Lanes& value) { return value; });
    const float mean = total / count;
    for (int64_t c = 0; c < flow.channels; ++c)
      squares += Total(values + c * flow.area(), flow.area(),
                       [&](const Lanes& value) { return (value - mean) * (value - mean); });
    found[image] = {mean, static_cast<float>(1 / std::sqrt(squares / count + kEpsilon))};
  });
  return found;
}

void Normalise(const Flow& flow, const float* x, const std::vector<Moments>& moments) {
  Parallel(flow.images * flow.channels, [&](int64_t item, int64_t) {
    const Moments of = moments[item / flow.channels];
    const int64_t place = item % flow.channels * flow.area();
    Along<3, 1>(flow.area(), {x + item * flow.area(), flow.weight + place, flow.bias + place},
                {flow.x(0) + item * flow.area()},
                [&](const Lanes* in, Lanes* out) { out[0] = (in[0] - of.mean) * of.inverse * in[1] + in[2]; });
  });
}

void ToNormalisation(const Flow& flow, const float* x, const std::vector<Moments>& moments, const float* dy) {
  Parallel(flow.channels, [&](int64_t c, int64_t) {
    float *const weight = flow.to_weight + c * flow.area(), *const bias = flow.to_bias + c * flow.area();
    for (int64_t image = 0; image < flow.images; ++image) {
      const Moments of = moments[image];
      const int64_t place = (image * flow.channels + c) * flow.area();
      Along<4, 2>(flow.area(), {x + place, dy + place, weight, bias}, {weight, bias}, [&](const Lanes* in, Lanes* out) {
        out[0] = in[2] + in[1] * (in[0] - of.mean) * of.inverse;
        out[1] = in[3] + in[1];
      });
    }
  });
}

template <typename Store>
void ConvolveAny(int64_t kernel, const float* x, const Shape& shape, const float* weight, int64_t outputs, bool turned,
                 const Store& store) {
  if (kernel == 3)
    Convolve<3>(x, shape, weight, outputs, turned, store);
  else
    Convolve<1>(x, shape, weight, outputs, turned, store);
}

void Subnet(const Flow& flow, int64_t number) {
  const Step& step = flow.step[number];
  const int64_t area = flow.area(), outputs = 2 * flow.second();
  float *const inside = flow.inside(number), *const a = flow.a(number);
  ConvolveAny(step.kernel, flow.x(number), flow.Of(flow.first(), flow.channels), step.number[kWeight1], flow.hidden, false,
              [&](int64_t image, int64_t o, int64_t place, size_t bytes, Lanes value) {
                value += step.number[kBias1][o];
                Put(inside + (image * flow.hidden + o) * area + place, value < 0.0f ? Lanes{} : value, bytes);
              });
  ConvolveAny(step.kernel, inside, flow.Of(flow.hidden, flow.hidden), step.number[kWeight2], outputs, false,
              [&](int64_t image, int64_t o, int64_t place, size_t bytes, const Lanes& value) {
                Put(a + (image * outputs + o) * area + place, (value + step.number[kBias2][o]) * kGain, bytes);
              });
}

// What a step gives, and the sum of tanh of each image and channel.
void Couple(const Flow& flow, int64_t number, double* sums) {
  const Step& step = flow.step[number];
  const int64_t area = flow.area();
  Parallel(flow.images * flow.channels, [&](int64_t item, int64_t) {
    const int64_t image = item / flow.channels, source = step.order[item % flow.channels];
    const int64_t channel = source - flow.first();
    const float scale = Positive(step.number[kScale][source]), offset = step.number[kOffset][source];
    const float* const x = flow.x(number) + (image * flow.channels + source) * area;
    float* const y = flow.x(number + 1) + item * area;
    if (channel < 0) {
      Along<1, 1>(area, {x}, {y}, [&](const Lanes* in, Lanes* out) { out[0] = in[0] * scale + offset; });
      return;
    }
    float* const a = flow.a(number) + (image * 2 * flow.second() + channel) * area;
    Lanes sum = {};  // to which zeros beyond the end of a row add nothing
    Along<3, 2>(area, {x, a, a + flow.second() * area}, {y, a}, [&](const Lanes* in, Lanes* out) {
      out[1] = Tanh(in[1]);
      out[0] = (in[0] * Exp(out[1] * flow.clamp) + in[2]) * scale + offset;
      sum += out[1];
    });
    sums[image * flow.second() + channel] = Sum(sum);
  });
}

// From the gradient to what a step gives, that to what goes into it, as far as it goes past the subnet, and that to what
// the subnet gives. `weights`: by which the likelihood of each image counts.
void Uncouple(const Flow& flow, int64_t number, const float* weights, const float* dy, float* dx, float* da) {
  const Step& step = flow.step[number];
  const int64_t area = flow.area(), half = flow.second() * area;
  float together = 0;
  for (int64_t image = 0; image < flow.images; ++image) together += weights[image];
  Parallel(flow.channels, [&](int64_t target, int64_t) {
    const int64_t source = step.order[target], channel = source - flow.first();
    const float g = step.number[kScale][source], scale = Positive(g);
    Lanes to_scale = {}, to_offset = {};
    for (int64_t image = 0; image < flow.images; ++image) {
      const int64_t place = (image * flow.channels + source) * area;
      const float *const x = flow.x(number) + place, *const dz = dy + (image * flow.channels + target) * area;
      if (channel < 0) {
        Along<2, 1>(area, {x, dz}, {dx + place}, [&](const Lanes* in, Lanes* out) {
          to_scale += in[0] * in[1];
          to_offset += in[1];
          out[0] = in[1] * scale;
        });
        continue;
      }
      const float* const tanh = flow.a(number) + image * 2 * half + channel * area;
      float* const to_a = da + image * 2 * half + channel * area;
      const float to_tanh = -weights[image];
      Along<4, 3>(area, {x, dz, tanh, tanh + half}, {dx + place, to_a, to_a + half}, [&](const Lanes* in, Lanes* out) {
        const Lanes stretch = Exp(in[2] * flow.clamp), dv = in[1] * scale;
        to_scale += in[1] * (in[0] * stretch + in[3]);
        to_offset += in[1];
        out[0] = dv * stretch;
        out[1] = (out[0] * in[0] + to_tanh) * flow.clamp * (1.0f - in[2] * in[2]);
        out[2] = dv;
      });
    }
    step.gradient[kScale][source] += (Sum(to_scale) - together * area / scale) * PositiveSlope(g);
    step.gradient[kOffset][source] += Sum(to_offset);
  });
}

void ToBias(const float* dy, const Flow& flow, int64_t channels, float factor, float* to_bias) {
  Parallel(channels, [&](int64_t c, int64_t) {
    double sum = 0;
    for (int64_t image = 0; image < flow.images; ++image)
      sum += Total(dy + (image * channels + c) * flow.area(), flow.area(), [](const Lanes& value) { return value; });
    to_bias[c] += factor * sum;
  });
}

// `da`, the gradient to what the subnet gives -> its parameters' and, added to `dx`, that to what goes into it.
void ToSubnet(const Flow& flow, int64_t number, const float* da, float* inner, float* dx) {
  const Step& step = flow.step[number];
  const int64_t area = flow.area(), outputs = 2 * flow.second();
  const Shape some = flow.Of(flow.first(), flow.channels), hidden = flow.Of(flow.hidden, flow.hidden);
  const auto to_weight = step.kernel == 3 ? ToWeight<3> : ToWeight<1>;
  const float* const inside = flow.inside(number);
  ToBias(da, flow, outputs, kGain, step.gradient[kBias2]);
  to_weight(da, inside, hidden, outputs, kGain, step.gradient[kWeight2]);
  ConvolveAny(step.kernel, da, flow.Of(outputs, outputs), step.number[kWeight2], flow.hidden, true,
              [&](int64_t image, int64_t o, int64_t place, size_t bytes, const Lanes& value) {
                const int64_t at = (image * flow.hidden + o) * area + place;
                Put(inner + at, Get(inside + at, bytes) > 0.0f ? value * kGain : Lanes{}, bytes);
              });
  ToBias(inner, flow, flow.hidden, 1, step.gradient[kBias1]);
  to_weight(inner, flow.x(number), some, flow.hidden, 1, step.gradient[kWeight1]);
  ConvolveAny(step.kernel, inner, hidden, step.number[kWeight1], flow.first(), true,
              [&](int64_t image, int64_t o, int64_t place, size_t bytes, const Lanes& value) {
                float* const target = dx + (image * flow.channels + o) * area + place;
                Put(target, Get(target, bytes) + value, bytes);
              });
}

std::vector<Moments> Forward(const Flow& flow, const float* x, double* likelihood) {
  const std::vector<Moments> moments = MomentsOf(flow, x);
  Normalise(flow, x, moments);
  std::vector<double> sums(flow.images * flow.second());
  std::fill(likelihood, likelihood + flow.images, 0);
  for (int64_t number = 0; number < flow.steps; ++number) {
    Subnet(flow, number);
    Couple(flow, number, sums.data());
    double volume = 0;
    for (int64_t c = 0; c < flow.channels; ++c) volume += std::log(Positive(flow.step[number].number[kScale][c]));
    for (int64_t image = 0; image < flow.images; ++image) {
      const double* const of = &sums[image * flow.second()];
      likelihood[image] -= flow.clamp * std::accumulate(of, of + flow.second(), 0.0) + flow.area() * volume;
    }
  }
  Parallel(flow.images, [&](int64_t image, int64_t) {
    const float* const z = flow.z() + image * flow.channels * flow.area();
    for (int64_t c = 0; c < flow.channels; ++c)
      likelihood[image] +=
          0.5 * Total(z + c * flow.area(), flow.area(), [](const Lanes& value) { return value * value; });
  });
  return moments;
}

}  // namespace

extern "C" int64_t RoomFor(const Flow* flow) { return flow->Room(); }

// The negative log-likelihood of each image.
extern "C" void Likelihood(const Flow* flow, const float* x, double* likelihood) { Forward(*flow, x, likelihood); }

// The same; the gradients of their sum, each times its weight, are added to those that are there.
extern "C" void Gradients(const Flow* flow, const float* x, const float* weights, double* likelihood) {
  const std::vector<Moments> moments = Forward(*flow, x, likelihood);
  const int64_t image = flow->whole() / flow->images;
  float *dy = flow->z() + flow->whole(), *dx = dy + flow->whole();
  float *const inner = dx + flow->whole(), *const da = inner + flow->inner();
  Parallel(flow->images, [&](int64_t i, int64_t) {
    Along<1, 1>(image, {flow->z() + i * image}, {dy + i * image},
                [&](const Lanes* in, Lanes* out) { out[0] = in[0] * weights[i]; });
  });
  for (int64_t number = flow->steps - 1; number >= 0; --number, std::swap(dy, dx)) {
    Uncouple(*flow, number, weights, dy, dx, da);
    ToSubnet(*flow, number, da, inner, dx);
  }
  ToNormalisation(*flow, x, moments, dy);
}

// A step of Adam, with weight decay added to the gradients, which are 0 afterwards.
extern "C" void Adam(const Learned* all, int64_t count, float rate, float beta1, float beta2, float epsilon, float decay) {
  Parallel(count, [&](int64_t item, int64_t) {
    const Learned& each = all[item];
    Along<4, 4>(each.size, {each.value, each.moment1, each.moment2, each.gradient},
                {each.value, each.moment1, each.moment2, each.gradient}, [&](const Lanes* in, Lanes* out) {
                  const Lanes gradient = in[3] + in[0] * decay;
                  out[1] = in[1] + (gradient - in[1]) * (1 - beta1);
                  out[2] = in[2] + (gradient * gradient - in[2]) * (1 - beta2);
                  Lanes root;
                  for (int lane = 0; lane < kLanes; ++lane) root[lane] = std::sqrt(out[2][lane]);
                  out[0] = in[0] - rate * out[1] / (root + epsilon);
                  out[3] = Lanes{};
                });
  });
}
