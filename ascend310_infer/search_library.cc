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

std::shared_ptr<const Search> MakeSearch(std::vector<float> rows, int64_t dimensions) {
  std::string looked;
  const std::filesystem::path library = Beside("libanomaly_search_" + Kind() + ".so", &looked);
  void* const make = library.empty() ? nullptr : Loaded(library, kSearchMaker);
  return std::shared_ptr<const Search>(make ? reinterpret_cast<SearchMaker*>(make)(std::move(rows), dimensions) : nullptr);
}
