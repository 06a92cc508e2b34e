// What a user of the installed header would build.
#include <cstdio>
#include <subpy.hpp>

int main() {
  try {
    {
      const auto interp = subpy::interpreter::create();
      const auto root = interp.call<double>("math:sqrt", 16.0);
      std::printf("subpy %s: %.1f\n", subpy_version_string(), root);
    }
    subpy::shutdown();
  } catch (const subpy::error &error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
