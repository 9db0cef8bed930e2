#include <iostream>

#include "ops/cli/cli.h"

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  return holdfast::cli::RunCli(arguments, {std::cin, std::cout, std::cerr});
}
