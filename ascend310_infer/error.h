#ifndef ANOMALY_INFER_ERROR_H_
#define ANOMALY_INFER_ERROR_H_

#include <stdexcept>
#include <string>

// Something is wrong with one file or one image; the others can still be done.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Results cannot be written: there is no point in going on.
class OutputError : public Error {
 public:
  using Error::Error;
};

// The command line is wrong.
class UsageError : public Error {
 public:
  using Error::Error;
};

// Libraries explain themselves over many lines; an error of this program is one line.
inline std::string OneLine(std::string text) {
  std::string line;
  for (char c : text) {
    const bool space = c == '\n' || c == '\r' || c == '\t' || c == ' ';
    if (!space) {
      line += c;
    } else if (!line.empty() && line.back() != ' ') {
      line += ' ';
    }
  }
  while (!line.empty() && line.back() == ' ') line.pop_back();
  return line;
}

#endif  // ANOMALY_INFER_ERROR_H_
