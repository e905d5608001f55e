// SPDX-License-Identifier: Apache-2.0
//
// What a connect says of the guest behind a monitor's path.

#include "core/qmp/monitor_socket.h"

#include <cstring>
#include <filesystem>
#include <fstream>

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <gtest/gtest.h>

#include "core/qmp/scripted_server.h"
#include "files/temp_folder.h"

namespace blockpull::qmp {
namespace {

class MonitorSocketTest : public ::testing::Test {
 protected:
  [[nodiscard]] net::Reached reached(const std::string& path) {
    auto connecting = connect_monitor(path);
    EXPECT_TRUE(connecting.ok());
    return connecting->reached;
  }

  const files::TempFolder folder_;
};

TEST_F(MonitorSocketTest, RecognizesARunningGuestByItsMonitor) {
  const std::string path = folder_ / "vm0.qmp";
  EXPECT_EQ(reached(""), net::Reached::kNobody);
  EXPECT_EQ(reached(path), net::Reached::kNobody);
  std::ofstream(path) << "no socket";
  EXPECT_EQ(reached(path), net::Reached::kNobody);
  std::filesystem::remove(path);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  {
    const UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(reached(path), net::Reached::kNobody);
    ASSERT_EQ(::listen(listener.get(), 0), 0);
    const auto first = connect_monitor(path);
    ASSERT_TRUE(first.ok());
    EXPECT_EQ(first->reached, net::Reached::kConnected);
    EXPECT_TRUE(first->fd.is_open());
    EXPECT_EQ(reached(path), net::Reached::kQueueFull);
  }
  EXPECT_EQ(reached(path), net::Reached::kNobody);
}

TEST_F(MonitorSocketTest, ReachesALongPathThroughItsFolder) {
  const std::string folder = folder_ / std::string(120, 'd');
  std::filesystem::create_directory(folder);
  const std::string path = folder + "/vm0.qmp";
  EXPECT_EQ(reached(path), net::Reached::kNobody);
  {
    ScriptedServer server(folder_ / "short");
    std::filesystem::rename(folder_ / "short", path);
    EXPECT_EQ(reached(path), net::Reached::kConnected);
    EXPECT_TRUE(server.accept());
  }
  EXPECT_EQ(reached(path), net::Reached::kNobody);
}

TEST_F(MonitorSocketTest, SaysThatTheNameOfAMonitorsFileIsTooLong) {
  const std::string name(120, 'n');
  const std::string path = folder_ / name;
  std::ofstream(path) << "";
  const auto connecting = connect_monitor(path);
  ASSERT_FALSE(connecting.ok());
  EXPECT_EQ(connecting.error().kind, ErrorKind::kInvalidArgument);
  EXPECT_NE(connecting.error().message.find("'" + name + "' has 120 bytes"), std::string::npos);
  EXPECT_NE(connecting.error().message.find("path is longer than 107 bytes can have"),
            std::string::npos);
  EXPECT_EQ(reached(path + "2"), net::Reached::kNobody);
}

TEST_F(MonitorSocketTest, RefusesAddressesThatAreNotPaths) {
  for (const auto* const address :
       {"tcp:127.0.0.1:4444", "tcp:vm0:1,server=on", "telnet::4444", "localhost:4444", "[::1]:4444",
        "@vm0", "unix:/run/vm0.qmp,server=on,wait=off"}) {
    const auto connecting = connect_monitor(address);
    ASSERT_FALSE(connecting.ok()) << address;
    EXPECT_EQ(connecting.error().kind, ErrorKind::kUnsupported);
    EXPECT_NE(connecting.error().message.find("only the path of a UNIX socket is supported, so"),
              std::string::npos);
  }
  for (const auto* const path : {"vm:0a", "vm:", "vm:123456", "./vm:1", "/run/@vm0", "vm0.tcp:"}) {
    EXPECT_EQ(reached(path), net::Reached::kNobody) << path;
  }
}

TEST_F(MonitorSocketTest, WithoutDescriptorsAMonitorFailsAndSaysWhatToRaise) {
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
