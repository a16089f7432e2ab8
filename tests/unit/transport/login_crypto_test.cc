#include "transport/login_crypto.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <memory>

#include "catch.h"
#include "transport/crypto.h"

using namespace sallyport;

TEST_CASE("base64: only what is whole and padded is read") {
  for (std::string_view plain : {"", "f", "fo", "foo", "foob", "\xff\xef\xff\xbe"})
    CHECK(from_base64(base64(as_bytes(plain))) == plain);
  for (std::string_view bad : {"Z", "Zg", "Zg=", "Zg= ", "====", "Z===", "Zm9v\n", "Z-9v", "=Zm9", "Zh=="}) {
    CAPTURE(bad);
    CHECK_FALSE(from_base64(bad));
  }
}

TEST_CASE("digests: sha256 of FIPS 180, pbkdf2 of RFC 7914, md5 of RFC 1321") {
  CHECK(base64(as_bytes(sha256("abc"))) == "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
  CHECK(pbkdf2_sha256("passwd", "salt", 1).substr(0, 4) == "\x55\xac\x04\x6e");
  CHECK(md5_hex("abc") == "900150983cd24fb0d6963f7d28e17f72");
}

TEST_CASE("rsa-oaep: for a public key, and for nothing else") {
  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_RSA_gen(2048), EVP_PKEY_free);
  std::unique_ptr<BIO, decltype(&BIO_free)> memory(BIO_new(BIO_s_mem()), BIO_free);
  PEM_write_bio_PUBKEY(memory.get(), key.get());
  char* text = nullptr;
  const auto size = static_cast<size_t>(BIO_get_mem_data(memory.get(), &text));
  const std::string pem(text, size);
  const auto encrypted = rsa_oaep(pem, "pencil");
  REQUIRE(encrypted);
  std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> context(EVP_PKEY_CTX_new(key.get(), nullptr),
                                                                      EVP_PKEY_CTX_free);
  EVP_PKEY_decrypt_init(context.get());
  EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_OAEP_PADDING);
  std::string plain(256, '\0');
  size_t length = plain.size();
  REQUIRE(EVP_PKEY_decrypt(context.get(), reinterpret_cast<unsigned char*>(plain.data()), &length,
                           reinterpret_cast<const unsigned char*>(encrypted->data()), encrypted->size()) == 1);
  CHECK(plain.substr(0, length) == "pencil");
  CHECK_FALSE(rsa_oaep(pem, std::string(500, 'x')));
  CHECK_FALSE(rsa_oaep("no key", "pencil"));
  CHECK_FALSE(rsa_oaep("", "pencil"));
}
