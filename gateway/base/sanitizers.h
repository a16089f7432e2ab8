// Whether this is a build with the address or the thread sanitizer, which look at memory and at the C library's calls:
// kSanitized, and SALLYPORT_SANITIZED for the preprocessor.
#pragma once

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SALLYPORT_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SALLYPORT_SANITIZED 1
#endif
#endif

namespace sallyport {

inline constexpr bool kSanitized =
#ifdef SALLYPORT_SANITIZED
    true;
#else
    false;
#endif

}  // namespace sallyport
