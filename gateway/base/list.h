// A doubly linked list threaded through its members: insertion and removal allocate nothing. A member leaves its list
// when it dies. Not thread-safe.
#pragma once
#include <cstddef>

namespace sallyport {

// One hook per list a thing can be in; the tag, by custom the member type itself, tells hooks of one type apart.
template <class Tag>
class ListHook {
 public:
  ListHook() noexcept = default;
  ListHook(const ListHook&) = delete;
  ListHook& operator=(const ListHook&) = delete;
  ~ListHook() { unlink(); }

  bool linked() const noexcept { return next_ != this; }
  void unlink() noexcept {
    prev_->next_ = next_;
    next_->prev_ = prev_;
    prev_ = next_ = this;
  }

 private:
  template <class T, class U>
  friend class List;
  ListHook* prev_ = this;
  ListHook* next_ = this;
};

// T derives from ListHook<Tag>.
template <class T, class Tag = T>
class List {
 public:
  List() noexcept = default;
  List(const List&) = delete;
  List& operator=(const List&) = delete;
  ~List() {
    while (!empty()) head_.next_->unlink();
  }

  bool empty() const noexcept { return !head_.linked(); }
  T* front() noexcept { return empty() ? nullptr : owner(head_.next_); }
  T* back() noexcept { return empty() ? nullptr : owner(head_.prev_); }
  T* next(T& item) noexcept {
    ListHook<Tag>* after = static_cast<ListHook<Tag>&>(item).next_;
    return after == &head_ ? nullptr : owner(after);
  }
  // Moves the item here if it is in a list already, be it this one.
  void push_back(T& item) noexcept {
    static_cast<ListHook<Tag>&>(item).unlink();  // first: the item may be the last one itself
    insert(*head_.prev_, item);
  }
  void push_front(T& item) noexcept {
    static_cast<ListHook<Tag>&>(item).unlink();
    insert(head_, item);
  }
  T* pop_front() noexcept {
    T* item = front();
    if (item != nullptr) static_cast<ListHook<Tag>*>(item)->unlink();
    return item;
  }
  // Moves everything to the end of other.
  void splice_to(List& other) noexcept {
    if (empty()) return;
    ListHook<Tag>* last = other.head_.prev_;
    last->next_ = head_.next_;
    head_.next_->prev_ = last;
    other.head_.prev_ = head_.prev_;
    head_.prev_->next_ = &other.head_;
    head_.prev_ = head_.next_ = &head_;
  }

 private:
  static T* owner(ListHook<Tag>* hook) noexcept { return static_cast<T*>(hook); }
  void insert(ListHook<Tag>& after, T& item) noexcept {
    ListHook<Tag>& hook = item;
    hook.prev_ = &after;
    hook.next_ = after.next_;
    after.next_->prev_ = &hook;
    after.next_ = &hook;
  }
  ListHook<Tag> head_;
};

}  // namespace sallyport
