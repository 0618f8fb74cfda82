#ifndef ANOMALY_INFER_IN_ORDER_H_
#define ANOMALY_INFER_IN_ORDER_H_

#include <cstddef>
#include <functional>

// What is left to do with a piece of work once all pieces before it are done.
using Rest = std::function<void()>;

// Calls work(0) to work(count - 1) in this many threads, and what they return one after the other, in this order.
// After an exception nothing new is begun; what came before it is finished, and it is thrown here.
void InOrder(size_t count, int threads, const std::function<Rest(size_t)>& work);

#endif  // ANOMALY_INFER_IN_ORDER_H_
