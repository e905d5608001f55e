// SPDX-License-Identifier: Apache-2.0
//
// Which bytes QEMU takes for UTF-8. It is stricter than the standard: besides overlong forms,
// surrogates and what lies above U+10FFFF it refuses noncharacters (U+FFFE, U+FFFF of every plane,
// U+FDD0 to U+FDEF). A file name is any bytes to Linux, so one may be unspeakable over QMP; JSON
// has no escape for a byte, and another name in its place would name another file.
//
// Pure functions.

#pragma once

#include <cstddef>
#include <string_view>

namespace blockpull::qmp {

/// Where the first byte lies that begins no character QEMU takes; npos when there is none.
[[nodiscard]] std::size_t find_no_utf8(std::string_view bytes);

}  // namespace blockpull::qmp
