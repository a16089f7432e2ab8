#include "layers/policies/headers.h"

namespace sallyport {

void apply(const config::HeaderEdits& edits, http::HeaderList& fields) {
  for (const auto& name : edits.remove) fields.remove(name);
  for (const auto& [name, value] : edits.set) fields.set(name, value);
  for (const auto& [name, value] : edits.add) fields.add(name, value);
}

}  // namespace sallyport
