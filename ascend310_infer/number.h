#ifndef ANOMALY_INFER_NUMBER_H_
#define ANOMALY_INFER_NUMBER_H_

#include <cstdio>
#include <string>

// Nine digits give back every float32 exactly.
inline std::string Number(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.9g", value);
  return text;
}

#endif  // ANOMALY_INFER_NUMBER_H_
