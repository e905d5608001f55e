// SPDX-License-Identifier: Apache-2.0
//
// What a connect says of the guest behind a monitor's path.

#include "core/qmp/unix_socket.h"

#include <cstring>
#include <filesystem>
#include <fstream>

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <gtest/gtest.h>

#include "files/temp_folder.h"

namespace blockpull::qmp {
namespace {

class UnixSocketTest : public ::testing::Test {
 protected:
  [[nodiscard]] Reached reached(const std::string& path) {
    auto connecting = connect_monitor(path);
    EXPECT_TRUE(connecting.ok());
    return connecting->reached;
  }

  const files::TempFolder folder_;
};

TEST_F(UnixSocketTest, TellsARunningGuestByItsMonitor) {
  const std::string path = folder_ / "vm0.qmp";
  EXPECT_EQ(reached(""), Reached::kNobody);
  EXPECT_EQ(reached(path), Reached::kNobody);
  std::ofstream(path) << "no socket";
  EXPECT_EQ(reached(path), Reached::kNobody);
  std::filesystem::remove(path);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  {
    const UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(reached(path), Reached::kNobody);
    ASSERT_EQ(::listen(listener.get(), 0), 0);
    const auto first = connect_monitor(path);
    ASSERT_TRUE(first.ok());
    EXPECT_EQ(first->reached, Reached::kConnected);
    EXPECT_TRUE(first->fd.is_open());
    EXPECT_EQ(reached(path), Reached::kQueueFull);
  }
  EXPECT_EQ(reached(path), Reached::kNobody);
}

TEST_F(UnixSocketTest, SaysThatAMonitorsPathIsTooLong) {
  const std::string folder = folder_ / std::string(120, 'd');
  std::filesystem::create_directory(folder);
  std::ofstream(folder + "/vm0.qmp") << "";
  const auto connecting = connect_monitor(folder + "/vm0.qmp");
  ASSERT_FALSE(connecting.ok());
  EXPECT_NE(connecting.error().message.find("has at most 107"), std::string::npos);
  EXPECT_EQ(reached(folder + "/vm1.qmp"), Reached::kNobody);
}

TEST_F(UnixSocketTest, WithoutADescriptorAMonitorIsLostForNowAndSaysWhatToRaise) {
  const std::string path = folder_ / "vm0.qmp";
  std::ofstream(path) << "";
  rlimit allowed{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &allowed), 0);
  const rlimit none{0, allowed.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto connecting = connect_monitor(path);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &allowed), 0);
  ASSERT_FALSE(connecting.ok());
  EXPECT_EQ(connecting.error().kind, ErrorKind::kMonitorLost);
  EXPECT_NE(connecting.error().message.find("raise RLIMIT_NOFILE"), std::string::npos);
}

}  // namespace
}  // namespace blockpull::qmp
