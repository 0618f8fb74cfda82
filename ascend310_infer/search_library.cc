#include "beside.h"
#include "search.h"

namespace {

// As CMakeLists.txt names the kinds of processors.
std::string Kind() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512dq")) return "avx512";
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return "avx2";
#endif
  return "";
}

}  // namespace

SearchMaker* FindSearchMaker() {
  std::string looked;
  const std::filesystem::path library = Beside("libanomaly_search_" + Kind() + ".so", &looked);
  return library.empty() ? nullptr : reinterpret_cast<SearchMaker*>(Loaded(library, kSearchMaker));
}
