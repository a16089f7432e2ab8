#include "runtime/alert_sender.h"

#include <curl/curl.h>
#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <list>
#include <mutex>
#include <thread>
#include <vector>

#include "base/format.h"
#include "base/text.h"

namespace sallyport {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr size_t kMostJobs = 256;
constexpr milliseconds kFirstPause{1'000};  // before the second try; the third comes after four times as much
constexpr milliseconds kMostRetryAfter{60'000};
constexpr size_t kAnswerShown = 200;

struct EasyDeleter {
  void operator()(CURL* easy) const noexcept { curl_easy_cleanup(easy); }
};
struct ListDeleter {
  void operator()(curl_slist* list) const noexcept { curl_slist_free_all(list); }
};
using EasyPtr = std::unique_ptr<CURL, EasyDeleter>;
using ListPtr = std::unique_ptr<curl_slist, ListDeleter>;

void append(ListPtr& list, const std::string& text) {
  if (curl_slist* longer = curl_slist_append(list.get(), text.c_str())) {
    (void)list.release();
    list.reset(longer);
  }
}

// One message on its way to one receiver.
struct Transfer {
  AlertSender::Job job;
  unsigned tried = 0;
  Clock::time_point due{};  // of the next try, while easy is empty
  EasyPtr easy;
  ListPtr list;  // headers, or recipients
  std::string body;
  size_t taken = 0;  // of the body, by libcurl
  std::string answer;
  char error[CURL_ERROR_SIZE] = "";
};

size_t give(char* to, size_t size, size_t count, void* from) {
  auto& transfer = *static_cast<Transfer*>(from);
  const size_t piece = std::min(size * count, transfer.body.size() - transfer.taken);
  transfer.body.copy(to, piece, transfer.taken);
  transfer.taken += piece;
  return piece;
}

// STARTTLS and logging in may rewind.
int rewind_body(void* from, curl_off_t offset, int origin) {
  auto& transfer = *static_cast<Transfer*>(from);
  if (origin != SEEK_SET || offset < 0 || static_cast<size_t>(offset) > transfer.body.size())
    return CURL_SEEKFUNC_CANTSEEK;
  transfer.taken = static_cast<size_t>(offset);
  return CURL_SEEKFUNC_OK;
}

size_t keep_answer(const char* data, size_t size, size_t count, void* to) {
  auto& answer = static_cast<Transfer*>(to)->answer;
  answer.append(data, std::min(size * count, kAnswerShown - std::min(kAnswerShown, answer.size())));
  return size * count;
}

void set_common(Transfer& t, CURL* easy) {
  const config::Alert& alert = *t.job.alert;
  const auto timeout = static_cast<long>(alert.timeout.count());
  curl_easy_setopt(easy, CURLOPT_PRIVATE, &t);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, t.error);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);  // a name server that does not answer holds up no stop
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, timeout);
  // Each message on a connection of its own: libcurl would send one over a connection that was upgraded by STARTTLS for
  // another receiver, under the certificates that one trusts.
  curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
  curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
  curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
  curl_easy_setopt(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
  if (!alert.ca.empty()) {
    curl_easy_setopt(easy, CURLOPT_CAINFO, alert.ca.c_str());
    curl_easy_setopt(easy, CURLOPT_CAPATH, nullptr);
  }
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, keep_answer);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &t);
  curl_easy_setopt(easy, CURLOPT_READFUNCTION, give);
  curl_easy_setopt(easy, CURLOPT_READDATA, &t);
  curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, rewind_body);
  curl_easy_setopt(easy, CURLOPT_SEEKDATA, &t);
}

void set_webhook(Transfer& t, CURL* easy) {
  const config::Alert& alert = *t.job.alert;
  WebhookRequest request = webhook_request(alert, *t.job.message);
  t.body = std::move(request.body);
  // A header without a value is written with ";" (CURLOPT_HTTPHEADER(3)).
  for (const auto& [name, value] : request.headers) append(t.list, value.empty() ? name + ";" : name + ": " + value);
  append(t.list, "Expect:");
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_URL, alert.url.c_str());
  curl_easy_setopt(easy, CURLOPT_POST, 1L);
  curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(t.body.size()));
  curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, alert.method.c_str());
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, t.list.get());
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "sallyport/" SALLYPORT_VERSION);
}

void set_mail(Transfer& t, CURL* easy) {
  const config::Alert& alert = *t.job.alert;
  t.body = mail_text(alert, *t.job.message);
  for (const std::string& to : alert.to) append(t.list, "<" + to + ">");
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
  curl_easy_setopt(easy, CURLOPT_URL, alert.smtp.c_str());
  curl_easy_setopt(easy, CURLOPT_USE_SSL, static_cast<long>(alert.starttls ? CURLUSESSL_ALL : CURLUSESSL_NONE));
  curl_easy_setopt(easy, CURLOPT_MAIL_FROM, ("<" + alert.from + ">").c_str());
  curl_easy_setopt(easy, CURLOPT_MAIL_RCPT, t.list.get());
  curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
  curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(t.body.size()));
  if (!alert.user.empty()) {
    curl_easy_setopt(easy, CURLOPT_USERNAME, alert.user.c_str());
    curl_easy_setopt(easy, CURLOPT_PASSWORD, alert.password.c_str());
  }
}

// What one try came to.
struct Verdict {
  bool sent = false;
  bool again = false;  // trying once more may help
  milliseconds after{0};
  std::string why;
};

Verdict judge(Transfer& t, CURLcode code) {
  Verdict out;
  long status = 0;
  curl_easy_getinfo(t.easy.get(), CURLINFO_RESPONSE_CODE, &status);
  const bool http = t.job.alert->kind == config::Alert::Kind::webhook;
  if (code != CURLE_OK) {
    out.why = t.error[0] != '\0' ? t.error : curl_easy_strerror(code);
    // A mail server's no to the sender, a recipient or a password is one for good (RFC 5321 section 4.2.1).
    out.again = http || status < 500;
    if (!http && status >= 400) out.why += format(" (the server said {})", status);
  } else if (!http || (status >= 200 && status < 300)) {
    out.sent = true;
  } else {
    out.why = format("answered {}", status);
    if (status >= 300 && status < 400) out.why += ", a redirect; write the URL it leads to";
    const std::string_view line = trim(std::string_view(t.answer).substr(0, t.answer.find('\n')));
    if (!line.empty()) out.why += ": " + escaped(line, kAnswerShown);
    out.again = status == 408 || status == 429 || status >= 500;
    curl_off_t seconds = 0;
    if (curl_easy_getinfo(t.easy.get(), CURLINFO_RETRY_AFTER, &seconds) == CURLE_OK && seconds > 0) {
      if (seconds > kMostRetryAfter.count() / 1000)
        out.again = false;
      else
        out.after = milliseconds(seconds * 1000);
    }
  }
  out.why = one_line(out.why, 300);
  return out;
}

}  // namespace

struct AlertSender::State {
  explicit State(std::function<void(Outcome)> call) : done(std::move(call)) {}

  void run() {
    // Signals are the main thread's.
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, nullptr);
    for (;;) {
      if (!take_jobs()) break;
      begin_tries();
      int running = 0;
      curl_multi_perform(multi, &running);
      int left = 0;
      while (CURLMsg* message = curl_multi_info_read(multi, &left)) {
        if (message->msg != CURLMSG_DONE) continue;
        Transfer* transfer = nullptr;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
        ended(*transfer, message->data.result);
      }
      curl_multi_poll(multi, nullptr, 0, wait_ms(), nullptr);
    }
    for (Transfer& transfer : transfers)
      if (transfer.easy) curl_multi_remove_handle(multi, transfer.easy.get());
    transfers.clear();
  }

  // False: it is over.
  bool take_jobs() {
    std::lock_guard lock(mutex);
    if (stopping) return false;
    for (Job& job : jobs) {
      Transfer& transfer = transfers.emplace_back();
      transfer.job = std::move(job);
      transfer.due = Clock::now();
    }
    jobs.clear();
    return true;
  }

  void begin_tries() {
    const auto now = Clock::now();
    for (Transfer& t : transfers) {
      if (t.easy || t.due > now) continue;
      t.easy.reset(curl_easy_init());
      t.list.reset();
      t.taken = 0;
      t.answer.clear();
      t.error[0] = '\0';
      ++t.tried;
      if (t.easy) {
        set_common(t, t.easy.get());
        if (t.job.alert->kind == config::Alert::Kind::email)
          set_mail(t, t.easy.get());
        else
          set_webhook(t, t.easy.get());
        curl_multi_add_handle(multi, t.easy.get());
      } else {
        t.due = now + kFirstPause;
      }
    }
  }

  void ended(Transfer& t, CURLcode code) {
    Verdict verdict = judge(t, code);
    curl_multi_remove_handle(multi, t.easy.get());
    t.easy.reset();
    if (!verdict.sent && verdict.again && t.tried < t.job.tries) {
      t.due = Clock::now() + std::max(verdict.after, kFirstPause * (1 << (2 * (t.tried - 1))));
      return;
    }
    Outcome outcome{t.job.alert, t.job.message, verdict.sent, std::move(verdict.why)};
    transfers.remove_if([&](const Transfer& other) { return &other == &t; });
    {
      std::lock_guard lock(mutex);
      --accepted;
    }
    done(std::move(outcome));
  }

  int wait_ms() const {
    milliseconds wait(60'000);
    const auto now = Clock::now();
    for (const Transfer& t : transfers)
      if (!t.easy) wait = std::min(wait, std::max(milliseconds(0), std::chrono::ceil<milliseconds>(t.due - now)));
    return static_cast<int>(wait.count());
  }

  std::function<void(Outcome)> done;
  CURLM* multi = nullptr;
  std::list<Transfer> transfers;  // the thread's; libcurl points at them
  std::mutex mutex;
  std::vector<Job> jobs;
  size_t accepted = 0;  // jobs that done was not called for
  bool stopping = false;
  std::thread thread;
};

AlertSender::AlertSender(std::function<void(Outcome)> done) : state_(std::make_unique<State>(std::move(done))) {
  static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (ready == CURLE_OK) state_->multi = curl_multi_init();
  if (state_->multi != nullptr) state_->thread = std::thread([state = state_.get()] { state->run(); });
}

AlertSender::~AlertSender() {
  if (state_->multi == nullptr) return;
  {
    std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  curl_multi_wakeup(state_->multi);
  state_->thread.join();
  curl_multi_cleanup(state_->multi);
}

bool AlertSender::send(Job job) {
  if (state_->multi == nullptr) return false;
  {
    std::lock_guard lock(state_->mutex);
    if (state_->accepted >= kMostJobs) return false;
    ++state_->accepted;
    state_->jobs.push_back(std::move(job));
  }
  curl_multi_wakeup(state_->multi);
  return true;
}

}  // namespace sallyport
