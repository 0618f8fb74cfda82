#ifndef ANOMALY_INFER_OPENVINO_SEARCH_H_
#define ANOMALY_INFER_OPENVINO_SEARCH_H_

#include <openvino/core/model.hpp>

// A PatchCore that was exported computes the distances to all rows of its memory bank. Where they are many and this
// processor has a library for it, what this puts in their place computes those alone that could be the smallest, and it
// says true.
bool SearchInstead(ov::Model* model);

#endif  // ANOMALY_INFER_OPENVINO_SEARCH_H_
