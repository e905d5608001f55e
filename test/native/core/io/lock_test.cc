// SPDX-License-Identifier: Apache-2.0
//
// The lock matrix, within one process and against a child. Locks belong to an open file
// description, so two opens of one file in this process exclude each other just as two processes
// do.

#include "core/io/lock.h"

#include <memory>
#include <optional>

#include <fcntl.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "core/base/text.h"
#include "files/other_process.h"
#include "files/temp_folder.h"

namespace blockpull::io {
namespace {

std::unique_ptr<PosixFile> open_file(const std::string& path) {
  auto file = PosixFile::open(path, Access::kReadOnly);
  EXPECT_TRUE(file.ok());
  return std::move(file).value();
}

/// Bytes that are locked by anything other than `file`.
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

TEST_F(Lock, AWriterLocksTheBytesThatQemuChecks) {
  const auto first = open_file(path_);
  const auto second = open_file(path_);
  ASSERT_TRUE(lock_image(*first, LockRole::kWriter).ok());
  EXPECT_EQ(locked_bytes(*second), "100 101 102 103 201 202 203 ");
}

TEST_F(Lock, ABackingReaderLocksTheBytesThatQemuChecks) {
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
  // Like a request that is in flight when its process is killed.
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

TEST_F(Lock, AWriterAndAnyOtherRoleExcludeEachOther) {
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
  std::unique_ptr<PosixFile> theirs;
  const files::OtherProcess other([this, &theirs] {
    theirs = open_file(path_);
    return lock_image(*theirs, LockRole::kWriter).ok();
  });
  ASSERT_TRUE(other.has_taken());
  const auto file = open_file(path_);
  const auto locked = lock_image(*file, LockRole::kWriter);
  ASSERT_FALSE(locked.ok());
  const Error& error = locked.error();
  EXPECT_TRUE(error.holder.starts_with(text("pid ", other.pid(), " ("))) << error.holder;
  const std::string words = text("image '", path_, "' is in use by pid ", other.pid());
  EXPECT_TRUE(error.message.starts_with(words)) << error.message;
  EXPECT_EQ(find_writer(*file), error.holder);
  const std::optional<Error> refusal = lock_refusal(*file, LockRole::kWriter);
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->kind, ErrorKind::kLocked);
  EXPECT_EQ(refusal->message, error.message);
  EXPECT_EQ(refusal->holder, error.holder);
}

TEST_F(Lock, ALockOfTheOtherKindIsNamedByItsPid) {
  const auto file = open_file(path_);
  const files::OtherProcess other([this] {
    const int fd = ::open(path_.c_str(), O_RDWR);
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    return fd >= 0 && ::fcntl(fd, F_SETLK, &lock) == 0;
  });
  ASSERT_TRUE(other.has_taken());
  const auto locked = lock_image(*file, LockRole::kWriter);
  ASSERT_FALSE(locked.ok());
  EXPECT_EQ(locked.error().kind, ErrorKind::kLocked);
  const std::string writer = find_writer(*file);
  EXPECT_TRUE(writer.starts_with(text("pid ", other.pid(), " ("))) << writer;
}

TEST_F(Lock, NobodyWritesAFileThatIsOnlyRead) {
  const auto first = open_file(path_);
  const auto second = open_file(path_);
  EXPECT_EQ(find_writer(*second), "");
  ASSERT_TRUE(lock_image(*first, LockRole::kBackingReader).ok());
  EXPECT_EQ(find_writer(*second), "");
}

TEST_F(Lock, PredictsARefusalWithoutTakingALock) {
  const auto asked = open_file(path_);
  for (const LockRole role : {LockRole::kWriter, LockRole::kBackingReader}) {
    EXPECT_FALSE(lock_refusal(*asked, role));
  }
  for (const LockRole theirs : {LockRole::kWriter, LockRole::kBackingReader}) {
    const auto holder = open_file(path_);
    ASSERT_TRUE(lock_image(*holder, theirs).ok());
    for (const LockRole ours : {LockRole::kWriter, LockRole::kBackingReader}) {
      const auto other = open_file(path_);
      const std::optional<Error> refusal = lock_refusal(*asked, ours);
      const auto locked = lock_image(*other, ours);
      EXPECT_EQ(refusal.has_value(), !locked.ok());
      if (refusal && !locked.ok()) {
        EXPECT_EQ(refusal->message, locked.error().message);
      }
    }
  }
  EXPECT_TRUE(lock_image(*asked, LockRole::kWriter).ok());
}

}  // namespace
}  // namespace blockpull::io
