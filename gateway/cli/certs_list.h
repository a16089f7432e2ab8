// What `sallyport certs list` says, as text.
#pragma once
#include <chrono>
#include <string>
#include <vector>

#include "certs/cert_users.h"
#include "config/model.h"

namespace sallyport {

// The services that a certificate is served for, in file order; "(default)" behind them when it is served where no name
// matches.
std::vector<std::string> users_of(const Certificate& certificate, const CertUsers& users);

// "2027-02-18, in 90 days"; also when it has expired, or is not valid yet.
std::string expiry_text(const Certificate& certificate, std::chrono::system_clock::time_point now);

// A block of lines for each certificate: its names, issuer, expiry, file and users; then what is wrong in the folder.
std::string certificate_list(const config::Config& config, const CertStore& store,
                             std::chrono::system_clock::time_point now);

}  // namespace sallyport
