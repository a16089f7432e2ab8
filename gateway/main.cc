#include "cli/command_line.h"
#include "transport/tls_memory.h"

int main(int argc, char** argv) {
  sallyport::keep_tls_memory();
  return sallyport::command_line(argc, argv);
}
