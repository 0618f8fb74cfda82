#include "image_io.h"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <string_view>
#include <tuple>

#include "error.h"
#include "exif.h"
#include "files.h"
#include "jpeg.h"
#include "png.h"
#include "webp.h"

namespace fs = std::filesystem;

namespace {

std::string LowerSuffix(const fs::path& path) {
  std::string suffix = path.extension().string();
  for (char& c : suffix) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return suffix;
}

bool IsWanted(const fs::path& path, bool photographs) {
  const std::string suffix = LowerSuffix(path);
  if (path.filename().string().front() == '.') return false;
  if (!photographs) return suffix == ".bin";
  return std::find(kSuffixes.begin(), kSuffixes.end(), suffix) != kSuffixes.end();
}

// preprocess.py turns 000.png into 000.png.bin; results carry the photograph's name whoever has read it.
fs::path PhotographName(fs::path name, bool photographs) {
  return photographs || name.extension() != ".bin" ? name : name.replace_extension();
}

// Decoders fill in what is missing of a file that was cut off; such a picture would be called anomalous.
bool IsCutOff(const std::vector<unsigned char>& data) {
  const std::string_view text(reinterpret_cast<const char*>(data.data()), data.size());
  return text.substr(0, 4) == "\x89PNG" && text.rfind("IEND") == text.npos;
}

// OpenCV would turn them into an image that is all white. Of the formats that are read only TIFF can hold them.
bool HoldsFloats(const std::vector<unsigned char>& data) {
  const bool tiff =
      data.size() > 4 && (std::memcmp(data.data(), "II", 2) == 0 || std::memcmp(data.data(), "MM", 2) == 0);
  return tiff && cv::imdecode(data, cv::IMREAD_ANYDEPTH | cv::IMREAD_ANYCOLOR).depth() > CV_16U;
}

std::vector<unsigned char> ContentOf(const fs::path& path) {
  std::vector<unsigned char> data = ReadFile(path);
  if (data.empty()) throw Error(path.string() + ": the file is empty; replace or remove it");
  return data;
}

cv::Mat Decode(const std::vector<unsigned char>& data, const fs::path& path, int flags) {
  if (Moves(data)) throw Error(path.string() + ": is an animation; save the picture that is meant");
  const int orientation = OrientationOfWebp(data);  // which some versions of OpenCV obey and others do not
  if (orientation != 0) flags |= cv::IMREAD_IGNORE_ORIENTATION;
  cv::Mat image;
  try {
    if (!IsCutOff(data) && !HoldsFloats(data)) image = cv::imdecode(data, flags);
  } catch (const cv::Exception&) {
    image.release();
  }
  if (image.empty()) throw Error(path.string() + ": not an image of 8 or 16 bits, or truncated; replace or remove it");
  if (orientation != 0) Turn(orientation, &image);
  return image;
}

// Pixels of a JPEG that is whole; empty for anything else.
cv::Mat DecodeIfJpeg(const std::vector<unsigned char>& data, const fs::path& path) {
  if (!IsJpeg(data)) return {};
  try {
    return DecodeJpeg(data);
  } catch (const std::exception& error) {  // of OpenCV, where memory is short
    throw Error(path.string() + ": damaged or truncated (" + OneLine(error.what()) + "); replace or remove it");
  }
}

}  // namespace

std::vector<Input> FindInputs(const fs::path& input, const fs::path& output, bool photographs) {
  if (!fs::exists(input)) throw Error(input.string() + ": no such file or folder");
  const bool one = !fs::is_directory(input);
  std::error_code no_output_yet;
  if (fs::equivalent(one ? fs::absolute(input).parent_path() : input, output, no_output_yet)) {
    throw Error(output.string() + ": is also the folder of the input; choose another --output");
  }
  if (one && !fs::is_regular_file(input)) throw Error(input.string() + ": is no file");
  if (one) return {{input, PhotographName(input.filename(), photographs)}};
  std::vector<Input> found;
  for (auto entry = fs::recursive_directory_iterator(input); entry != fs::end(entry); ++entry) {
    std::error_code no_such_thing;  // a link that leads to itself
    if (entry->is_directory(no_such_thing)) {
      if (fs::equivalent(entry->path(), output, no_output_yet)) entry.disable_recursion_pending();
    } else if (entry->is_regular_file(no_such_thing) && IsWanted(entry->path(), photographs)) {
      found.push_back({entry->path(), PhotographName(entry->path().lexically_relative(input), photographs)});
    }
  }
  if (found.empty()) {
    throw Error(input.string() + ": holds no " + (photographs ? "image" : ".bin file of preprocess.py"));
  }
  // Folder by folder, as predict.py lists them.
  std::sort(found.begin(), found.end(), [](const Input& a, const Input& b) {
    return std::make_tuple(a.path.parent_path(), a.path) < std::make_tuple(b.path.parent_path(), b.path);
  });
  return found;
}

cv::Mat ReadPhotograph(const fs::path& path) {
  const std::vector<unsigned char> data = ContentOf(path);
  cv::Mat image = DecodeIfJpeg(data, path);
  if (image.empty()) image = DecodePng(data);
  if (!image.empty()) return image;
  image = Decode(data, path, cv::IMREAD_COLOR);
  cv::cvtColor(image, image, cv::COLOR_BGR2RGB);
  return image;
}

cv::Mat ReadMask(const fs::path& path) {
  const std::vector<unsigned char> data = ContentOf(path);
  DecodeIfJpeg(data, path);  // whether it is whole
  const cv::Mat values = Decode(data, path, cv::IMREAD_ANYCOLOR | cv::IMREAD_ANYDEPTH);
  const std::string suffix = LowerSuffix(path);
  const bool lossy = suffix == ".jpg" || suffix == ".jpeg" || suffix == ".webp";
  std::vector<cv::Mat> channels;
  cv::split(values > cv::Scalar::all(lossy ? 127 : 0), channels);
  for (const cv::Mat& channel : channels) channels[0] |= channel;
  return channels[0];
}

cv::Mat ReadBin(const fs::path& path, Size size) {
  const std::vector<unsigned char> data = ReadFile(path);
  cv::Mat image(size.height, size.width, CV_8UC3);
  const size_t expected = image.total() * image.elemSize();
  if (data.size() != expected) {
    throw Error(path.string() + ": holds " + std::to_string(data.size()) + " bytes, but the model takes " +
                std::to_string(size.height) + " x " + std::to_string(size.width) + " x 3 = " +
                std::to_string(expected) + "; run preprocess.py with this model");
  }
  std::memcpy(image.data, data.data(), expected);
  return image;
}
