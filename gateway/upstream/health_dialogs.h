// The dialogs of the single protocols, for make_health_dialog(). Internal.
#pragma once
#include "upstream/health_dialog.h"

namespace sallyport {

std::unique_ptr<HealthDialog> make_http_dialog(const HealthQuestion& question);
std::unique_ptr<HealthDialog> make_ssh_dialog(const HealthQuestion& question);
std::unique_ptr<HealthDialog> make_smtp_dialog(const HealthQuestion& question);
std::unique_ptr<HealthDialog> make_redis_dialog(const HealthQuestion& question);
std::unique_ptr<HealthDialog> make_mysql_dialog(const HealthQuestion& question);
std::unique_ptr<HealthDialog> make_postgres_dialog(const HealthQuestion& question);

}  // namespace sallyport
