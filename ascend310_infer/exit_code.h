#ifndef ANOMALY_INFER_EXIT_CODE_H_
#define ANOMALY_INFER_EXIT_CODE_H_

#include <iostream>

#include "error.h"

// That of a program whose work returns its own: what is thrown becomes one line, and 2 for wrong arguments, else 1.
template <typename Work>
int ExitCode(const Work& work) {
  try {
    return work();
  } catch (const UsageError& error) {
    std::clog << "error: " << OneLine(error.what()) << " (--help shows the options)" << std::endl;
    return 2;
  } catch (const std::exception& error) {
    std::clog << "error: " << OneLine(error.what()) << std::endl;
    return 1;
  }
}

#endif  // ANOMALY_INFER_EXIT_CODE_H_
