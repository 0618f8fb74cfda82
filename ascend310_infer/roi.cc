#include "roi.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>

#include "error.h"
#include "image_io.h"
#include "nearest.h"
#include "pixels.h"

namespace fs = std::filesystem;

namespace {

constexpr char kMask[] = "rle:";
constexpr char kFolder[] = "folder:";
constexpr double kProportion = 0.02;  // by which the sides of a mask and a photograph may differ in their proportion
constexpr int64_t kLongest = 1 << 20;  // of a side, and

bool Begins(const std::string& text, const std::string& with) { return text.compare(0, with.size(), with) == 0; }

// Takes whole numbers out of a text, one after the other.
class Numbers {
 public:
  explicit Numbers(const std::string& text) : at_(text.data()), end_(text.data() + text.size()) {}

  bool AtEnd() const { return at_ == end_; }

  // The next one, which has to be followed by `stop`, or by the end of the text if that is 0 or `or_end`.
  int64_t Next(char stop, bool or_end = false) {
    int64_t value = 0;
    const auto found = std::from_chars(at_, end_, value);
    if (found.ec != std::errc() || value < 0) throw Error("is not HEIGHTxWIDTH:a,b,...");
    at_ = found.ptr;
    if (at_ == end_ && or_end) return value;
    if (at_ == end_ || *at_ != stop || (or_end && at_ + 1 == end_)) throw Error("is not HEIGHTxWIDTH:a,b,...");
    ++at_;
    return value;
  }

 private:
  const char* at_;
  const char* end_;
};

// a pixels outside, b inside, c outside, ..., row after row.
cv::Mat Decoded(const std::string& text) {
  Numbers numbers(text);
  const int64_t height = numbers.Next('x');
  const int64_t width = numbers.Next(':');
  if (height < 1 || width < 1 || height > kLongest || width > kLongest || static_cast<size_t>(height * width) > kMostPixels) {
    throw Error("has a size that no photograph has");
  }
  cv::Mat mask(static_cast<int>(height), static_cast<int>(width), CV_8U, cv::Scalar(0));
  uchar* place = mask.data;
  int64_t left = height * width;
  for (bool inside = false; !numbers.AtEnd(); inside = !inside) {
    const int64_t run = numbers.Next(',', true);
    if (run > left) throw Error("has more pixels than its " + std::to_string(height) + " x " + std::to_string(width));
    if (inside) std::fill_n(place, run, uchar{1});
    place += run;
    left -= run;
  }
  if (left > 0) throw Error("does not fill its " + std::to_string(height) + " x " + std::to_string(width));
  return mask;
}

cv::Mat InFolder(const fs::path& folder, const fs::path& photograph) {
  const std::string stem = photograph.stem().string();
  for (const char* suffix : kSuffixes) {
    for (const char* end : {"", "_mask"}) {
      const fs::path place = folder / (stem + end + suffix);
      if (fs::is_regular_file(place)) return ReadMask(place);
    }
  }
  throw Error(photograph.string() + ": has no region in " + folder.string() + " (looked for " + stem +
              ".png and other endings)");
}

}  // namespace

RegionOfInterest::RegionOfInterest(const std::string& text) {
  if (text.empty()) return;
  if (Begins(text, kFolder) && text.size() > sizeof(kFolder) - 1) {
    folder_ = text.substr(sizeof(kFolder) - 1);
    return;
  }
  try {
    if (!Begins(text, kMask)) throw Error("is of no known kind");
    mask_ = Decoded(text.substr(sizeof(kMask) - 1));
  } catch (const Error& error) {
    throw Error("its roi '" + OneLine(text.substr(0, 40)) + "' " + error.what());
  }
}

cv::Mat RegionOfInterest::Of(const fs::path& photograph, cv::Size size) const {
  const cv::Mat found = folder_.empty() ? mask_ : InFolder(folder_, photograph);
  if (found.empty() || found.size() == size) return found;
  const double wide = static_cast<double>(size.width) * found.rows;
  if (std::abs(static_cast<double>(size.height) * found.cols / wide - 1) > kProportion) {
    throw Error(photograph.string() + ": is " + std::to_string(size.width) + " x " + std::to_string(size.height) +
                ", and its region " + std::to_string(found.cols) + " x " + std::to_string(found.rows) +
                ": other proportions (width x height)");
  }
  return Nearest(found, size);
}
