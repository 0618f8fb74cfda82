#ifndef ANOMALY_INFER_BESIDE_H_
#define ANOMALY_INFER_BESIDE_H_

#include <filesystem>
#include <string>

// A library of this project that is loaded when it is needed: it lies where what this is a part of does, or where that
// was installed. Empty if it is in neither; `looked` says in which folders.
std::filesystem::path Beside(const std::string& library, std::string* looked);

// A function in it; null if there is none, and dlerror says why.
void* Loaded(const std::filesystem::path& library, const char* function);

#endif  // ANOMALY_INFER_BESIDE_H_
