// SPDX-License-Identifier: Apache-2.0
//
// Which bytes QEMU accepts as UTF-8. QEMU is stricter than the standard. Besides overlong forms,
// surrogates and codes above U+10FFFF it refuses noncharacters (U+FFFE, U+FFFF of every plane,
// U+FDD0 to U+FDEF). Linux allows any bytes in a file name, so QMP cannot carry every name. JSON
// has no escape for a byte, and another name in its place would name another file.
//
// Pure functions.

#pragma once

#include <cstddef>
#include <string_view>

namespace blockpull::qmp {

/// Index of the first byte that does not start a character QEMU accepts; npos if there is none.
[[nodiscard]] std::size_t find_no_utf8(std::string_view bytes);

}  // namespace blockpull::qmp
