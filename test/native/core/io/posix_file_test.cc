// SPDX-License-Identifier: Apache-2.0
//
// A file on a real filesystem: what is opened, what is refused, and the calls at their limits.

#include "core/io/posix_file.h"

#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "core/base/bytes.h"
#include "files/temp_folder.h"

namespace blockpull::io {
namespace {

constexpr std::uint64_t kMiB = 1024 * 1024;

std::vector<std::byte> pattern(std::size_t size, int value) {
  return std::vector<std::byte>(size, static_cast<std::byte>(value));
}

TEST(PosixFile, AnythingButARegularFileIsRefusedAtOnce) {
  const files::TempFolder folder;
  ASSERT_EQ(::mkfifo((folder / "fifo").c_str(), 0600), 0);
  for (const std::string& path : {folder / "fifo", folder.path(), std::string("/dev/null")}) {
    const auto file = PosixFile::open(path, Access::kReadOnly);
    ASSERT_FALSE(file.ok()) << path;
    EXPECT_EQ(file.error().kind, ErrorKind::kUnsupported);
    EXPECT_NE(file.error().message.find("not supported"), std::string::npos);
    EXPECT_EQ(file.error().path, path);
  }
}

TEST(PosixFile, AMissingFileIsNotFound) {
  const files::TempFolder folder;
  const auto file = PosixFile::open(folder / "none", Access::kReadOnly);
  ASSERT_FALSE(file.ok());
  EXPECT_EQ(file.error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(file.error().error_number, ENOENT);
}

TEST(PosixFile, CreateLeavesAnExistingFileAlone) {
  const files::TempFolder folder;
  const std::string path = folder.write("a", "precious");
  const auto file = PosixFile::create(path);
  ASSERT_FALSE(file.ok());
  EXPECT_EQ(file.error().kind, ErrorKind::kInvalidArgument);
  EXPECT_EQ(files::content_of(path), "precious");
}

TEST(PosixFile, ReadsPastTheEndAreZeros) {
  const files::TempFolder folder;
  const auto file = PosixFile::open(folder.write("a", "abc"), Access::kReadOnly);
  ASSERT_TRUE(file.ok());
  std::vector<std::byte> bytes = pattern(8, 0xff);
  ASSERT_TRUE((*file)->read_at(1, bytes).ok());
  EXPECT_EQ(bytes[0], std::byte{'b'});
  EXPECT_EQ(bytes[1], std::byte{'c'});
  EXPECT_TRUE(all_zero(std::span(bytes).subspan(2)));
  ASSERT_TRUE((*file)->read_at(kMiB, bytes).ok());
  EXPECT_TRUE(all_zero(bytes));
}

/// Expects the error of a truncated file from a read and from a hole query at `offset`.
void expect_cut(PosixFile& file, std::uint64_t offset) {
  std::vector<std::byte> bytes(8);
  for (const Error& error : {file.read_at(offset, bytes).error(), file.run_at(offset).error()}) {
    EXPECT_EQ(error.kind, ErrorKind::kLocked);
    EXPECT_NE(error.message.find("has shrunk"), std::string::npos) << error.message;
  }
}

TEST(PosixFile, ATruncatedFileDoesNotReadAsZeros) {
  const files::TempFolder folder;
  const std::string path = folder.write("a", std::string(8192, 'a'));
  for (const Access access : {Access::kReadOnly, Access::kReadWrite}) {
    const auto file = PosixFile::open(path, access);
    ASSERT_TRUE(file.ok());
    ASSERT_EQ(::truncate(path.c_str(), 4096), 0);
    std::vector<std::byte> bytes(8);
    EXPECT_TRUE((*file)->read_at(4088, bytes).ok());
    EXPECT_TRUE((*file)->read_at(8192, bytes).ok());
    expect_cut(**file, 4096);
    ASSERT_EQ(::truncate(path.c_str(), 8192), 0);
  }
}

TEST(PosixFile, OurOwnChangesUpdateTheExpectedSize) {
  const files::TempFolder folder;
  const std::string path = folder.write("a", std::string(8192, 'a'));
  const auto file = PosixFile::open(path, Access::kReadWrite);
  ASSERT_TRUE(file.ok());
  std::vector<std::byte> bytes(8);
  ASSERT_TRUE((*file)->truncate(4096).ok());
  EXPECT_TRUE((*file)->read_at(4096, bytes).ok());
  ASSERT_TRUE((*file)->allocate(4096, 4096).ok());
  ASSERT_TRUE((*file)->write_at(8192, bytes).ok());
  EXPECT_EQ((*file)->expected_size(), 8200U);
  ASSERT_EQ(::truncate(path.c_str(), 4096), 0);
  expect_cut(**file, 4096);
}

TEST(PosixFile, AnOffsetThatNoFileHasIsAnError) {
  const files::TempFolder folder;
  const auto file = PosixFile::create(folder / "a");
  ASSERT_TRUE(file.ok());
  std::vector<std::byte> bytes(8);
  const auto read = (*file)->read_at(std::uint64_t{1} << 63U, bytes);
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().offset, std::uint64_t{1} << 63U);
  EXPECT_FALSE((*file)->write_at(std::uint64_t{1} << 63U, bytes).ok());
}

TEST(PosixFile, WhatIsWrittenIsRead) {
  const files::TempFolder folder;
  const auto file = PosixFile::create(folder / "a");
  ASSERT_TRUE(file.ok());
  const std::vector<std::byte> written = pattern(70000, 7);
  ASSERT_TRUE((*file)->write_at(100, written).ok());
  ASSERT_TRUE((*file)->sync().ok());
  std::vector<std::byte> read(written.size());
  ASSERT_TRUE((*file)->read_at(100, read).ok());
  EXPECT_EQ(read, written);
  EXPECT_EQ(*(*file)->size(), 70100U);
}

TEST(PosixFile, WritingToAFileOpenedForReadingFails) {
  const files::TempFolder folder;
  const auto file = PosixFile::open(folder.write("a", "abc"), Access::kReadOnly);
  ASSERT_TRUE(file.ok());
  EXPECT_FALSE((*file)->write_at(0, pattern(1, 1)).ok());
  EXPECT_EQ(files::content_of(folder / "a"), "abc");
}

TEST(PosixFile, AllocateGrowsTheFileWithZerosAndKeepsWhatIsThere) {
  const files::TempFolder folder;
  const auto file = PosixFile::open(folder.write("a", "abc"), Access::kReadWrite);
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE((*file)->allocate(0, kMiB).ok());
  EXPECT_EQ(*(*file)->size(), kMiB);
  ASSERT_TRUE((*file)->allocate(0, 10).ok());
  EXPECT_EQ(*(*file)->size(), kMiB);
  EXPECT_EQ(files::content_of(folder / "a").substr(0, 4), std::string("abc\0", 4));
}

TEST(PosixFile, AHugeAllocationFailsWithNoSpaceOrTooLarge) {
  const files::TempFolder folder;
  const auto file = PosixFile::create(folder / "a");
  ASSERT_TRUE(file.ok());
  const auto allocated = (*file)->allocate(0, std::uint64_t{1} << 60U);
  ASSERT_FALSE(allocated.ok());
  EXPECT_EQ(allocated.error().system_call, "fallocate");
}

TEST(PosixFile, RunsTellHolesFromData) {
  const files::TempFolder folder;
  const auto file = PosixFile::create(folder / "a");
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE((*file)->write_at(kMiB, pattern(4096, 1)).ok());
  ASSERT_TRUE((*file)->truncate(3 * kMiB).ok());
  const auto hole = (*file)->run_at(0);
  ASSERT_TRUE(hole.ok());
  EXPECT_TRUE(hole->hole);
  EXPECT_EQ(hole->length, kMiB);
  const auto data = (*file)->run_at(kMiB);
  ASSERT_TRUE(data.ok());
  EXPECT_FALSE(data->hole);
  EXPECT_EQ(data->length, 4096U);
  const auto tail = (*file)->run_at(kMiB + 4096);
  ASSERT_TRUE(tail.ok());
  EXPECT_TRUE(tail->hole);
  EXPECT_EQ(tail->offset + tail->length, 3 * kMiB);
}

TEST(PosixFile, PunchGivesSpaceBack) {
  const files::TempFolder folder;
  const auto file = PosixFile::create(folder / "a");
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE((*file)->write_at(0, pattern(kMiB, 1)).ok());
  ASSERT_TRUE((*file)->sync().ok());
  const std::uint64_t before = *(*file)->allocated_bytes();
  ASSERT_TRUE((*file)->punch(0, kMiB / 2).ok());
  EXPECT_LT(*(*file)->allocated_bytes(), before);
  EXPECT_EQ(*(*file)->size(), kMiB);
}

TEST(PosixFile, AFailedSyncIsFinal) {
  // No file can be made to fail fdatasync on demand, and /dev/full has none; a pipe fails it.
  const files::TempFolder folder;
  const auto file = PosixFile::create(folder / "a");
  ASSERT_TRUE(file.ok());
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const int kept = ::dup((*file)->fd());
  ASSERT_EQ(::dup2(ends[0], (*file)->fd()), (*file)->fd());
  const auto failed = (*file)->sync();
  ASSERT_FALSE(failed.ok());
  ASSERT_EQ(::dup2(kept, (*file)->fd()), (*file)->fd());
  const auto again = (*file)->sync();
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().error_number, failed.error().error_number);
  for (const int fd : {ends[0], ends[1], kept}) {
    ::close(fd);
  }
}

TEST(PosixFile, TheDescriptorForDirectIoIsOfTheSameInode) {
  const files::TempFolder folder;
  const auto file = PosixFile::create(folder / "a");
  ASSERT_TRUE(file.ok());
  const KernelFile kernel_file = (*file)->kernel_file();
  EXPECT_EQ(kernel_file.fd, (*file)->fd());
  if (kernel_file.direct_fd >= 0) {
    struct stat about {};
    ASSERT_EQ(::fstat(kernel_file.direct_fd, &about), 0);
    EXPECT_EQ((FileId{about.st_dev, about.st_ino}), (*file)->id());
    EXPECT_GT(kernel_file.direct_alignment, 0U);
  }
}

TEST(PosixFile, OneFileHasOneIdentityWhateverItsName) {
  const files::TempFolder folder;
  const std::string path = folder.write("a", "abc");
  ASSERT_EQ(::symlink(path.c_str(), (folder / "b").c_str()), 0);
  const auto direct = PosixFile::open(path, Access::kReadOnly);
  const auto linked = PosixFile::open(folder / "b", Access::kReadOnly);
  const auto other = PosixFile::open(folder.write("c", "abc"), Access::kReadOnly);
  ASSERT_TRUE(direct.ok() && linked.ok() && other.ok());
  EXPECT_EQ((*direct)->id(), (*linked)->id());
  EXPECT_NE((*direct)->id(), (*other)->id());
}

TEST(PosixFile, ADescriptorIsLeftBlocking) {
  const files::TempFolder folder;
  const auto file = PosixFile::create(folder / "a");
  ASSERT_TRUE(file.ok());
  const auto opened = PosixFile::open(folder / "a", Access::kReadWrite);
  ASSERT_TRUE(opened.ok());
  EXPECT_EQ(::fcntl((*opened)->fd(), F_GETFL) & O_NONBLOCK, 0);
}

}  // namespace
}  // namespace blockpull::io
