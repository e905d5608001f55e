// SPDX-License-Identifier: Apache-2.0
//
// The open files of this process and of another one.

#include "core/io/process_files.h"

#include <filesystem>
#include <thread>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "files/other_process.h"
#include "files/temp_folder.h"

namespace blockpull::io {
namespace {

class ProcessFilesTest : public testing::Test {
 protected:
  static bool has(pid_t process, const FileId& id) {
    const auto files = ProcessFiles::of(process);
    EXPECT_TRUE(files);
    return files && files->has(id);
  }

  const files::TempFolder folder_;
  const std::string path_ = folder_.write("disk", "x");
  const FileId id_ = identify(path_).value();
};

TEST_F(ProcessFilesTest, AFileIsHadForAsLongAsItIsOpen) {
  EXPECT_FALSE(has(::getpid(), id_));
  auto file = PosixFile::open(path_, Access::kReadOnly);
  ASSERT_TRUE(file.ok());
  EXPECT_TRUE(has(::getpid(), id_));
  EXPECT_FALSE(has(::getpid(), identify(folder_.write("other", "x")).value()));
  file = make_error(ErrorKind::kIo, "closed");
  EXPECT_FALSE(has(::getpid(), id_));
}

TEST_F(ProcessFilesTest, AFileHasItsIdUnderEveryName) {
  const auto file = PosixFile::open(path_, Access::kReadOnly);
  ASSERT_TRUE(file.ok());
  std::filesystem::create_hard_link(path_, folder_ / "second");
  std::filesystem::rename(path_, folder_ / "moved");
  EXPECT_TRUE(has(::getpid(), identify(folder_ / "second").value()));
  EXPECT_TRUE(has(::getpid(), identify(folder_ / "moved").value()));
  EXPECT_FALSE(ProcessFiles::of(::getpid())->has_deleted(path_));
}

TEST_F(ProcessFilesTest, ADeletedFileIsKnownByTheNameThatItHad) {
  const auto file = PosixFile::open(path_, Access::kReadOnly);
  ASSERT_TRUE(file.ok());
  EXPECT_FALSE(ProcessFiles::of(::getpid())->has_deleted(path_));
  std::filesystem::remove(path_);
  const auto files = ProcessFiles::of(::getpid());
  ASSERT_TRUE(files);
  EXPECT_TRUE(files->has_deleted(path_));
  EXPECT_TRUE(files->has(id_));
  EXPECT_FALSE(files->has_deleted(folder_ / "other"));
  EXPECT_FALSE(files->has_deleted(""));
}

TEST_F(ProcessFilesTest, AFileNamedLikeADeletedOneIsNotDeleted) {
  const std::string path = folder_.write("disk (deleted)", "x");
  const auto file = PosixFile::open(path, Access::kReadOnly);
  ASSERT_TRUE(file.ok());
  EXPECT_FALSE(ProcessFiles::of(::getpid())->has_deleted(path_));
}

TEST_F(ProcessFilesTest, AnotherProcessHasItsOwnFilesAndFolder) {
  const files::OtherProcess other([this] {
    return ::chdir(folder_.path().c_str()) == 0 && ::open("disk", O_RDONLY | O_CLOEXEC) >= 0;
  });
  ASSERT_TRUE(other.has_taken());
  EXPECT_TRUE(has(other.pid(), id_));
  EXPECT_FALSE(has(::getpid(), id_));
  EXPECT_EQ(ProcessFiles::of(other.pid())->folder(), folder_.path());
  EXPECT_EQ(ProcessFiles::of(::getpid())->folder(), std::filesystem::current_path().string());
}

TEST_F(ProcessFilesTest, AThreadHasWhatItsProcessHas) {
  const auto file = PosixFile::open(path_, Access::kReadOnly);
  ASSERT_TRUE(file.ok());
  bool is_had = false;
  std::thread thread([&] { is_had = has(static_cast<pid_t>(::syscall(SYS_gettid)), id_); });
  thread.join();
  EXPECT_TRUE(is_had);
}

TEST_F(ProcessFilesTest, OtherDescriptorsAreIgnored) {
  const int folder = ::open(folder_.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  ASSERT_GE(folder, 0);
  struct stat about {};
  ASSERT_EQ(::fstat(folder, &about), 0);
  EXPECT_FALSE(has(::getpid(), {about.st_dev, about.st_ino}));
  ::close(folder);
}

TEST(ProcessFilesOfNobodyTest, AreAbsent) {
  pid_t ended = 0;
  {
    const files::OtherProcess other([] { return true; });
    ended = other.pid();
  }
  for (const pid_t process : {0, -1, ended}) {
    EXPECT_FALSE(ProcessFiles::of(process)) << process;
  }
}

}  // namespace
}  // namespace blockpull::io
