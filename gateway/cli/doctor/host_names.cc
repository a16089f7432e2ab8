#include "cli/doctor/host_names.h"

#include <ifaddrs.h>
#include <netinet/in.h>

#include <algorithm>
#include <set>

#include "base/format.h"
#include "runtime/client_variety.h"

namespace sallyport {
namespace {

bool same(const Address& a, const Address& b) { return a.unmapped().ip_bytes() == b.unmapped().ip_bytes(); }

std::string texts(const std::vector<Address>& addresses) {
  std::set<std::string> seen;
  std::string out;
  for (const Address& address : addresses) {
    const std::string text = address.unmapped().ip_text();
    if (seen.size() < 5 && seen.insert(text).second) out += (out.empty() ? "" : ", ") + text;
  }
  return out;
}

Finding judge(const std::string& host, const std::vector<Address>& found, const std::vector<Address>& own) {
  const auto is_own = [&](const Address& address) {
    return address.is_loopback() ||
           std::any_of(own.begin(), own.end(), [&](const Address& o) { return same(o, address); });
  };
  const auto strangers = std::count_if(found.begin(), found.end(), [&](const Address& a) { return !is_own(a); });
  if (strangers == 0) return {Grade::ok, "names", format("{} points to this machine", host), ""};
  if (static_cast<size_t>(strangers) < found.size())
    return {Grade::warning, "names", format("{} points to {}: not all of these are this machine's", host, texts(found)),
            "remove the record that is wrong, often a forgotten AAAA; fine where that machine serves the name, too"};
  std::vector<Address> outside;
  for (const Address& address : own)
    if (!address.is_loopback() && !is_private(address)) outside.push_back(address);
  std::vector<Address> shown = outside;
  if (outside.empty())
    std::copy_if(own.begin(), own.end(), std::back_inserter(shown), [](const Address& a) { return !a.is_loopback(); });
  const bool behind_router =
      std::none_of(found.begin(), found.end(), is_private) &&
      std::none_of(outside.begin(), outside.end(), [](const Address& a) { return a.family() == AF_INET; });
  const std::string text = format("{} points to {}, which is none of this machine's addresses ({})", host, texts(found),
                                  shown.empty() ? "it has none but loopback" : texts(shown));
  if (behind_router)
    return {Grade::ok, "names", text + ": fine behind a NAT router that forwards the ports to here", ""};
  return {Grade::warning, "names", text,
          "fine behind a NAT router, a proxy or a floating address; else correct the DNS record"};
}

}  // namespace

std::vector<std::string> names_of_clients(const std::vector<config::Service>& services) {
  std::vector<std::string> out;
  std::set<std::string_view> seen;
  for (const config::Service& service : services)
    for (const std::string& host : service.hosts)
      if (!host.starts_with('*') && !host.starts_with('[') && !Address::parse_ip(host, 0).ok() &&
          seen.insert(host).second)
        out.push_back(host);
  return out;
}

Findings check_names(const std::vector<NameAnswer>& answers, const std::vector<Address>& own) {
  Findings out;
  for (const NameAnswer& answer : answers) {
    if (answer.addresses)
      out.push_back(judge(answer.host, *answer.addresses, own));
    else
      out.push_back({Grade::warning, "names",
                     format("{} does not resolve here: {}", answer.host, answer.addresses.error().text()),
                     "make a DNS record; fine if your clients ask another name server that has one"});
  }
  if (out.empty()) out.push_back({Grade::ok, "names", "no service has a name to look up", ""});
  return out;
}

std::vector<Address> own_addresses() {
  std::vector<Address> out;
  ifaddrs* first = nullptr;
  if (getifaddrs(&first) != 0) return out;
  for (const ifaddrs* one = first; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr) continue;
    const int family = one->ifa_addr->sa_family;
    if (family == AF_INET) out.push_back(Address::from(one->ifa_addr, sizeof(sockaddr_in)));
    if (family == AF_INET6) out.push_back(Address::from(one->ifa_addr, sizeof(sockaddr_in6)));
  }
  freeifaddrs(first);
  return out;
}

}  // namespace sallyport
