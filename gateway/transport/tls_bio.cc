#include "transport/tls_bio.h"

#include <openssl/bio.h>

#include <algorithm>
#include <cstring>

#include "transport/transport.h"

namespace sallyport {

struct TransportBio {
  static int read(BIO* bio, char* out, int size) {
    auto& transport = *static_cast<Transport*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    if (size <= 0) return 0;
    auto wanted = static_cast<size_t>(size);
    if (!transport.stash_.empty()) {
      Bytes front = transport.stash_.front();
      size_t count = std::min(wanted, front.size());
      std::memcpy(out, front.data(), count);
      transport.stash_.consume(count);
      return static_cast<int>(count);
    }
    if (transport.feed_.empty()) {
      ssize_t count = transport.receive(transport.io_->cipher.get(), std::min(IoContext::kCipherSize, transport.io_->quantum()));
      if (count < 0) {
        if (transport.read_sys_ == 0) BIO_set_retry_read(bio);
        return -1;
      }
      if (count == 0) return 0;
      transport.feed_ = {transport.io_->cipher.get(), static_cast<size_t>(count)};
    }
    size_t count = std::min(wanted, transport.feed_.size());
    std::memcpy(out, transport.feed_.data(), count);
    transport.feed_ = transport.feed_.subspan(count);
    return static_cast<int>(count);
  }

  // Never refuses: whoever feeds a transport looks at pending().
  static int write(BIO* bio, const char* data, int size) {
    auto& transport = *static_cast<Transport*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    if (size <= 0) return 0;
    transport.out_.append(Bytes(reinterpret_cast<const uint8_t*>(data), static_cast<size_t>(size)));
    return size;
  }

  static long control(BIO* bio, int command, long, void*) {
    auto& transport = *static_cast<Transport*>(BIO_get_data(bio));
    switch (command) {
      case BIO_CTRL_FLUSH:
      case BIO_CTRL_DUP: return 1;
      case BIO_CTRL_EOF: return transport.eof_ ? 1 : 0;
      default: return 0;
    }
  }

  static int create(BIO* bio) {
    BIO_set_init(bio, 1);
    return 1;
  }

  static BIO_METHOD* method() {
    static BIO_METHOD* made = [] {
      BIO_METHOD* fresh = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "transport");
      BIO_meth_set_read(fresh, read);
      BIO_meth_set_write(fresh, write);
      BIO_meth_set_ctrl(fresh, control);
      BIO_meth_set_create(fresh, create);
      return fresh;
    }();
    return made;
  }
};

BIO* make_transport_bio(Transport& transport) {
  BIO* bio = BIO_new(TransportBio::method());
  if (bio != nullptr) BIO_set_data(bio, &transport);
  return bio;
}

}  // namespace sallyport
