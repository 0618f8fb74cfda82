#ifndef ANOMALY_INFER_FILES_H_
#define ANOMALY_INFER_FILES_H_

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

// The file's bytes. Throws Error.
std::vector<unsigned char> ReadFile(const std::filesystem::path& path);

// The file appears under its name only when it is complete; folders are made. Throws OutputError.
void WriteFile(const std::filesystem::path& path, const void* data, size_t size);

// SHA-256 in lower-case hexadecimal.
std::string Sha256Of(std::vector<unsigned char> data);

#endif  // ANOMALY_INFER_FILES_H_
