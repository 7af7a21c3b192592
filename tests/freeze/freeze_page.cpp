// SPDX-License-Identifier: Apache-2.0
// Prints docs/state-machines/freeze.md as the code has it; with --write puts it there.
#include "freeze/freeze_page.hpp"

#include <cstdio>
#include <cstring>

int main(int argc, char** argv) {
    auto const text = freeze_page::page();
    std::FILE* to = stdout;
    if (argc > 1 && std::strcmp(argv[1], "--write") == 0)
        to = std::fopen(KTSTR_SOURCE_ROOT "/docs/state-machines/freeze.md", "w");
    if (to == nullptr || std::fwrite(text.data(), 1, text.size(), to) != text.size() || std::fclose(to) != 0) {
        std::perror("docs/state-machines/freeze.md");
        return 1;
    }
    return 0;
}
