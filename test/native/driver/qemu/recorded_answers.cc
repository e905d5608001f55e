// SPDX-License-Identifier: Apache-2.0

#include "driver/qemu/recorded_answers.h"

#include <gtest/gtest.h>

#include "files/temp_folder.h"

namespace blockpull::driver::qemu {

qmp::Json recorded(const std::string& name) {
  auto parsed = qmp::Json::parse(files::content_of(BLOCKPULL_ANSWERS_FOLDER "/" + name + ".json"));
  EXPECT_TRUE(parsed.ok()) << name;
  return parsed.ok() ? std::move(parsed).value() : qmp::Json();
}

}  // namespace blockpull::driver::qemu
