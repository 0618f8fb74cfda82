#include "files.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "error.h"

std::vector<unsigned char> ReadFile(const std::filesystem::path& path) {
  std::error_code failed;
  if (std::filesystem::is_directory(path, failed)) throw Error(path.string() + ": is a folder");
  const bool there = std::filesystem::exists(path, failed);
  if (there && !std::filesystem::is_regular_file(path, failed)) throw Error(path.string() + ": is no file");
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(path.string() + ": cannot be read (" + std::strerror(errno) + ")");
  std::vector<unsigned char> data;
  const std::uintmax_t size = std::filesystem::file_size(path, failed);
  if (!failed) data.reserve(size);
  char block[1 << 16];
  while (file.read(block, sizeof(block)) || file.gcount() > 0) data.insert(data.end(), block, block + file.gcount());
  if (file.bad()) throw Error(path.string() + ": cannot be read (" + std::strerror(errno) + ")");
  return data;
}

void WriteFile(const std::filesystem::path& path, const void* data, size_t size) {
  std::error_code failed;
  const std::filesystem::path folder = path.parent_path();  // empty: where the program was started
  if (!folder.empty()) std::filesystem::create_directories(folder, failed);
  if (failed) throw OutputError(path.string() + ": cannot be written (" + failed.message() + ")");
  const std::filesystem::path temporary =
      folder / ("." + path.filename().string() + "." + std::to_string(getpid()) + ".tmp");
  errno = 0;
  std::ofstream file(temporary, std::ios::binary);
  file.write(static_cast<const char*>(data), static_cast<std::streamsize>(size));
  // What did not fit on the disk may come to light only here.
  file.close();
  if (!file) {
    const std::string reason = std::strerror(errno);
    std::filesystem::remove(temporary, failed);
    throw OutputError(path.string() + ": cannot be written (" + reason + ")");
  }
  std::filesystem::rename(temporary, path, failed);
  if (failed) {
    const std::string reason = failed.message();
    std::filesystem::remove(temporary, failed);
    throw OutputError(path.string() + ": cannot be written (" + reason + ")");
  }
}
