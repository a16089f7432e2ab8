#include "runtime/reloader.h"

#include <utility>

#include "base/clock.h"
#include "net/loop.h"

namespace sallyport {

void Reloader::reload(ReloadReport::By by, Done done) {
  wishes_.push_back({by, false, std::move(done)});
  next();
}

void Reloader::preview(Done done) {
  wishes_.push_back({ReloadReport::By::command, true, std::move(done)});
  next();
}

// Whoever waits for the same is served by one.
void Reloader::next() {
  if (busy_ || wishes_.empty()) return;
  busy_ = true;
  std::vector<Wish> now, later;
  for (Wish& wish : wishes_) (wish.dry == wishes_.front().dry ? now : later).push_back(std::move(wish));
  wishes_ = std::move(later);
  if (!now.front().dry && hooks_.begin) hooks_.begin();
  auto input = std::make_shared<RebuildInput>(hooks_.input());
  auto result = std::make_shared<Rebuilt>();
  auto wishes = std::make_shared<std::vector<Wish>>(std::move(now));
  const auto started = static_cast<int64_t>(Loop::precise_now());
  background_.run(
      [input, result] { *result = rebuild(*input); },
      [this, alive = alive_, result, wishes, started] {
        if (*alive) built(std::move(*result), std::move(*wishes), started);
      });
}

void Reloader::built(Rebuilt rebuilt, std::vector<Wish> wishes, int64_t started_us) {
  rebuilt.report.by = wishes.front().by;
  rebuilt.report.time = unix_ms();
  rebuilt.report.seconds = static_cast<double>(static_cast<int64_t>(Loop::precise_now()) - started_us) / 1e6;
  const bool dry = wishes.front().dry;
  auto tell = [this, alive = alive_, told = std::make_shared<std::vector<Wish>>(std::move(wishes))](
                  const ReloadReport& report) {
    if (!*alive) return;
    busy_ = false;
    for (Wish& wish : *told)
      if (wish.done) wish.done(report);
    next();
  };
  if (dry) return tell(rebuilt.report);
  hooks_.publish(std::move(rebuilt), std::move(tell));
}

}  // namespace sallyport
