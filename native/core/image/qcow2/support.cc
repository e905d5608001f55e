// SPDX-License-Identifier: Apache-2.0

#include "core/image/qcow2/support.h"

#include <algorithm>

#include "core/base/text.h"

namespace blockpull::image::qcow2 {
namespace {

Error refuse(const std::string& path, const std::string& feature, const std::string& advice) {
  return make_error(ErrorKind::kFeatureUnsupported,
                    text("image '", path, "' ", feature, " not supported", advice))
      .with_path(path);
}

bool is_known(const Extension& known) {
  switch (known.type) {
    case extension::kBackingFormat:
    case extension::kFeatureNames:
    case extension::kBitmaps:
    case extension::kEncryption:
    case extension::kExternalDataFile:
      return true;
    default:
      return false;
  }
}

}  // namespace

bool owns_all_space(const Header& header) {
  return (header.autoclear & ~autoclear::kKnown) == 0 &&
         std::all_of(header.extensions.begin(), header.extensions.end(), &is_known);
}

Result<void> check_readable(const Header& header, const std::string& path) {
  if (header.crypt_method != 0) {
    return refuse(path,
                  header.crypt_method == kAes ? "is encrypted (AES), which is"
                                              : "is encrypted (LUKS), which is",
                  "");
  }
  if (header.has_data_file()) {
    return refuse(path, "keeps its data in an external data file, which is", "");
  }
  return {};
}

Result<void> check_writable(const Header& header, const std::string& path) {
  BLOCKPULL_CHECK(check_readable(header, path));
  if ((header.incompatible & incompatible::kCorrupt) != 0) {
    return refuse(path, "is marked corrupt (the corrupt bit), and writing to it is",
                  text("; ", kRepairAdvice));
  }
  if ((header.incompatible & incompatible::kDirty) != 0) {
    return refuse(path, "was not closed properly (the dirty bit), and writing to it is",
                  text("; ", kRepairAdvice));
  }
  return {};
}

}  // namespace blockpull::image::qcow2
