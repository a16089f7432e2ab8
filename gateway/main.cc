#include "cli/command_line.h"

int main(int argc, char** argv) { return sallyport::command_line(argc, argv); }
