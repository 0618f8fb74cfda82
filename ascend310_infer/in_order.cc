#include "in_order.h"

#include <exception>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

namespace {

class Line {
 public:
  explicit Line(size_t count) : failed_at_(count) {}

  // The next piece that nobody works on; false when there is none, or no point in it.
  bool Take(size_t* piece) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (next_ >= failed_at_) return false;
    *piece = next_++;
    return true;
  }

  void Done(size_t piece, Rest rest) {
    const std::lock_guard<std::mutex> lock(mutex_);
    waiting_.emplace(piece, std::move(rest));
    for (auto due = waiting_.begin(); due != waiting_.end() && due->first == due_ && due_ < failed_at_;) {
      try {
        due->second();
      } catch (...) {
        return Fail(due_);
      }
      due = waiting_.erase(due);
      ++due_;
    }
  }

  void Failed(size_t piece) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (piece < failed_at_) Fail(piece);
  }

  void Finish() const {
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  void Fail(size_t piece) {
    failed_at_ = piece;
    failure_ = std::current_exception();
  }

  std::mutex mutex_;
  size_t next_ = 0;
  size_t due_ = 0;
  size_t failed_at_;  // the first piece that has failed; before that, their number
  std::exception_ptr failure_;
  std::map<size_t, Rest> waiting_;
};

}  // namespace

void InOrder(size_t count, int threads, const std::function<Rest(size_t)>& work) {
  Line line(count);
  const auto run = [&line, &work] {
    for (size_t piece = 0; line.Take(&piece);) {
      try {
        line.Done(piece, work(piece));
      } catch (...) {
        line.Failed(piece);
      }
    }
  };
  std::vector<std::thread> others;
  try {
    for (int i = 1; i < threads; ++i) others.emplace_back(run);
  } catch (const std::exception&) {  // memory or threads are short: those that are there do the work
  }
  run();
  for (std::thread& other : others) other.join();
  line.Finish();
}
