// A source for watches that a test feeds.
#pragma once

#include "support.h"

namespace knarr::http::test {

// What a test's sources send: numbered lines up to `lines`, then perhaps the end.
struct Feed {
  std::atomic<int> lines{0};
  std::atomic<bool> end{false};
  std::atomic<int> sources{0}, calls{0};
  size_t padding = 0;
};

class FeedSource final : public PumpSource {
 public:
  explicit FeedSource(std::shared_ptr<Feed> feed) : feed_(std::move(feed)) { ++feed_->sources; }
  ~FeedSource() override { --feed_->sources; }
  More next(std::string& out, size_t budget) override {
    ++feed_->calls;
    const size_t begin = out.size();
    while (sent_ < feed_->lines) {
      if (out.size() - begin >= budget) return More::kAgain;
      out += fmt::format("line {}{}\n", ++sent_, std::string(feed_->padding, '.'));
    }
    return feed_->end ? More::kEnd : More::kIdle;
  }

 private:
  const std::shared_ptr<Feed> feed_;
  int sent_ = 0;
};

}  // namespace knarr::http::test
