// SPDX-License-Identifier: Apache-2.0
//
// The lock matrix, within one process and against a child. Locks belong to an open file
// description, so two opens of one file in this process exclude each other just as two processes
// do.

#include "core/io/lock.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "core/base/text.h"
#include "files/temp_folder.h"

namespace blockpull::io {
namespace {

std::unique_ptr<PosixFile> open_file(const std::string& path) {
  auto file = PosixFile::open(path, Access::kReadOnly);
  EXPECT_TRUE(file.ok());
  return std::move(file).value();
}

/// Bytes that somebody other than `file` has locked.
std::string locked_bytes(PosixFile& file) {
  std::string bytes;
  for (int byte = 100; byte < 205; ++byte) {
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = byte;
    lock.l_len = 1;
    if (::fcntl(file.fd(), F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK) {
      bytes += text(byte, " ");
    }
  }
  return bytes;
}

class Lock : public testing::Test {
 protected:
  const files::TempFolder folder_;
  const std::string path_ = folder_.write("disk", "x");
};

TEST_F(Lock, AWriterTakesTheBytesThatQemuLooksAt) {
  const auto first = open_file(path_);
  const auto second = open_file(path_);
  ASSERT_TRUE(lock_image(*first, LockRole::kWriter).ok());
  EXPECT_EQ(locked_bytes(*second), "100 101 102 103 201 202 203 ");
}

TEST_F(Lock, AReaderOfABackingFileTakesTheBytesThatQemuLooksAt) {
  const auto first = open_file(path_);
  const auto second = open_file(path_);
  ASSERT_TRUE(lock_image(*first, LockRole::kBackingReader).ok());
  EXPECT_EQ(locked_bytes(*second), "100 201 203 ");
}

TEST_F(Lock, AWriterIsLockedUntilItsLastDirectRequestHasEnded) {
  auto first = open_file(path_);
  ASSERT_TRUE(lock_image(*first, LockRole::kWriter).ok());
  const int direct_fd = first->kernel_file().direct_fd;
  ASSERT_GE(direct_fd, 0) << "the tests need a filesystem with direct I/O";
  // As a request that is under way when its process is killed.
  const int under_way = ::dup(direct_fd);
  first.reset();
  const auto second = open_file(path_);
  const auto locked = lock_image(*second, LockRole::kWriter);
  ASSERT_FALSE(locked.ok());
  EXPECT_EQ(locked.error().kind, ErrorKind::kLocked);
  ASSERT_EQ(::close(under_way), 0);
  EXPECT_TRUE(lock_image(*second, LockRole::kWriter).ok());
}

TEST_F(Lock, ReadersOfOneBaseCoexist) {
  const auto first = open_file(path_);
  const auto second = open_file(path_);
  EXPECT_TRUE(lock_image(*first, LockRole::kBackingReader).ok());
  EXPECT_TRUE(lock_image(*second, LockRole::kBackingReader).ok());
}

TEST_F(Lock, AWriterExcludesEverybodyAndIsExcludedByEverybody) {
  for (const auto& [held, wanted] : {std::pair(LockRole::kWriter, LockRole::kWriter),
                                     std::pair(LockRole::kWriter, LockRole::kBackingReader),
                                     std::pair(LockRole::kBackingReader, LockRole::kWriter)}) {
    const auto first = open_file(path_);
    const auto second = open_file(path_);
    ASSERT_TRUE(lock_image(*first, held).ok());
    const auto locked = lock_image(*second, wanted);
    ASSERT_FALSE(locked.ok());
    EXPECT_EQ(locked.error().kind, ErrorKind::kLocked);
    EXPECT_EQ(locked.error().path, path_);
  }
}

TEST_F(Lock, ARefusedLockLeavesNothingBehind) {
  const auto first = open_file(path_);
  const auto second = open_file(path_);
  ASSERT_TRUE(lock_image(*first, LockRole::kBackingReader).ok());
  ASSERT_FALSE(lock_image(*second, LockRole::kWriter).ok());
  EXPECT_EQ(locked_bytes(*first), "");
}

TEST_F(Lock, TheLocksGoWithTheFile) {
  auto first = open_file(path_);
  const auto second = open_file(path_);
  ASSERT_TRUE(lock_image(*first, LockRole::kWriter).ok());
  first.reset();
  EXPECT_TRUE(lock_image(*second, LockRole::kWriter).ok());
}

TEST_F(Lock, AHolderInThisProcessIsNamedAsSuch) {
  const auto first = open_file(path_);
  const auto second = open_file(path_);
  ASSERT_TRUE(lock_image(*first, LockRole::kWriter).ok());
  const auto locked = lock_image(*second, LockRole::kWriter);
  ASSERT_FALSE(locked.ok());
  EXPECT_EQ(locked.error().holder, text("this process (pid ", ::getpid(), ")"));
  EXPECT_NE(locked.error().message.find(locked.error().holder), std::string::npos);
}

TEST_F(Lock, AHolderInAnotherProcessIsNamedByPidAndName) {
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    auto file = PosixFile::open(path_, Access::kReadOnly);
    const bool locked = file.ok() && lock_image(**file, LockRole::kWriter).ok();
    static_cast<void>(!::write(ready[1], locked ? "y" : "n", 1));
    ::pause();
    ::_exit(0);
  }
  char answer = 0;
  ASSERT_EQ(::read(ready[0], &answer, 1), 1);
  ASSERT_EQ(answer, 'y');
  const auto file = open_file(path_);
  const auto locked = lock_image(*file, LockRole::kWriter);
  const std::string writer = find_writer(*file);
  const std::optional<Error> in_use = in_use_error(*file);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ::close(ready[0]);
  ::close(ready[1]);
  ASSERT_FALSE(locked.ok());
  EXPECT_TRUE(locked.error().holder.starts_with(text("pid ", child, " (")))
      << locked.error().holder;
  EXPECT_TRUE(
      locked.error().message.starts_with(text("image '", path_, "' is in use by pid ", child)));
  EXPECT_EQ(writer, locked.error().holder);
  ASSERT_TRUE(in_use);
  EXPECT_EQ(in_use->kind, ErrorKind::kLocked);
  EXPECT_EQ(in_use->message, locked.error().message);
  EXPECT_EQ(in_use->holder, locked.error().holder);
}

TEST_F(Lock, ALockOfTheOtherKindIsNamedByItsPid) {
  const auto file = open_file(path_);
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const int fd = ::open(path_.c_str(), O_RDWR);
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    const bool locked = fd >= 0 && ::fcntl(fd, F_SETLK, &lock) == 0;
    static_cast<void>(!::write(ready[1], locked ? "y" : "n", 1));
    ::pause();
    ::_exit(0);
  }
  char answer = 0;
  ASSERT_EQ(::read(ready[0], &answer, 1), 1);
  ASSERT_EQ(answer, 'y');
  const auto locked = lock_image(*file, LockRole::kWriter);
  const std::string writer = find_writer(*file);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ::close(ready[0]);
  ::close(ready[1]);
  ASSERT_FALSE(locked.ok());
  EXPECT_EQ(locked.error().kind, ErrorKind::kLocked);
  EXPECT_TRUE(writer.starts_with(text("pid ", child, " ("))) << writer;
}

TEST_F(Lock, NobodyWritesAFileThatIsOnlyRead) {
  const auto first = open_file(path_);
  const auto second = open_file(path_);
  EXPECT_EQ(find_writer(*second), "");
  ASSERT_TRUE(lock_image(*first, LockRole::kBackingReader).ok());
  EXPECT_EQ(find_writer(*second), "");
  EXPECT_FALSE(in_use_error(*second));
}

}  // namespace
}  // namespace blockpull::io
