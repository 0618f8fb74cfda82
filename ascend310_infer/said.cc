#include "said.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <nlohmann/json.hpp>

namespace {

int failed = 0;  // the error number of what standard output did not take

bool IsPlain(const std::string& name) {
  const auto control = [](unsigned char c) { return c < 0x20 || c == 0x7f; };
  if (name.empty() || name.front() == '"' || std::any_of(name.begin(), name.end(), control)) return false;
  for (size_t at = 0; (at = name.find('\xe2', at)) != name.npos; ++at) {  // ends of lines, and turns of direction
    const std::string sign = name.substr(at, 3);
    if ((sign >= "\xe2\x80\xa8" && sign <= "\xe2\x80\xae") || (sign >= "\xe2\x81\xa6" && sign <= "\xe2\x81\xa9")) {
      return false;
    }
  }
  try {
    nlohmann::json(name).dump();
    return true;
  } catch (const nlohmann::json::exception&) {  // no UTF-8
    return false;
  }
}

}  // namespace

void MendStreams() {
  for (int number = 0; number <= 2; ++number) {
    if (fcntl(number, F_GETFD) < 0) (void)!open("/dev/null", O_RDWR);  // which takes the lowest number that is free
  }
  std::signal(SIGXFSZ, SIG_IGN);
}

void OutliveReader() { std::signal(SIGPIPE, SIG_IGN); }

void Say(const std::string& text) {
  for (size_t at = 0; at < text.size() && failed == 0;) {
    const ssize_t written = write(STDOUT_FILENO, text.data() + at, text.size() - at);
    if (written >= 0) {
      at += written;
    } else if (errno != EINTR) {
      failed = errno;
    }
  }
}

std::string Unsaid() { return failed == 0 || failed == EPIPE ? "" : std::strerror(failed); }

std::string Shown(const std::string& name) {
  if (IsPlain(name)) return name;
  return nlohmann::json(name).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}
