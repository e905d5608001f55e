// SPDX-License-Identifier: Apache-2.0
//
// The choice of the descriptor and the meaning of a result, as pure functions.

#include "core/io/transfer.h"

#include <cerrno>
#include <vector>

#include <gtest/gtest.h>

#include "core/base/bytes.h"
#include "files/descriptor_file.h"

namespace blockpull::io {
namespace {

constexpr KernelFile kBoth{.fd = 5, .direct_fd = 6, .direct_alignment = 512};

class Transfer : public testing::Test {
 protected:
  /// A request into aligned memory that begins `shift` bytes behind a page boundary.
  Request request(Request::Op op, std::uint64_t offset, std::size_t length, std::size_t shift = 0) {
    return {.op = op,
            .file = &file_,
            .offset = offset,
            .buffer = page_ + shift,
            .length = length,
            .done = {}};
  }

  files::DescriptorFile file_{kBoth};
  alignas(4096) std::byte page_[16384] = {};
};

TEST_F(Transfer, OnlyAnAlignedRequestGoesDirect) {
  const struct {
    Request::Op op;
    std::uint64_t offset;
    std::size_t length;
    std::size_t shift;
    int fd;
  } rows[] = {{Request::Op::kRead, 512, 1024, 0, 6},    {Request::Op::kRead, 512, 1024, 512, 6},
              {Request::Op::kRead, 513, 1024, 0, 5},    {Request::Op::kRead, 512, 1000, 0, 5},
              {Request::Op::kRead, 512, 1024, 8, 5},    {Request::Op::kWrite, 4096, 8192, 0, 6},
              {Request::Op::kWrite, 512, 4096, 0, 5},   {Request::Op::kWrite, 4096, 512, 0, 5},
              {Request::Op::kWrite, 4096, 4096, 512, 5}};
  for (const auto& row : rows) {
    EXPECT_EQ(descriptor_for(request(row.op, row.offset, row.length, row.shift), kBoth), row.fd)
        << row.offset << " " << row.length << " " << row.shift;
  }
}

TEST_F(Transfer, AFileWithoutADirectDescriptorUsesItsOther) {
  const KernelFile plain{.fd = 5, .direct_fd = -1, .direct_alignment = 0};
  EXPECT_EQ(descriptor_for(request(Request::Op::kRead, 0, 4096), plain), 5);
  EXPECT_EQ(descriptor_for(request(Request::Op::kRead, 0, 4096), {}), -1);
}

TEST_F(Transfer, TheRestOfARequestGoesDirectOnlyIfAligned) {
  Request begun = request(Request::Op::kRead, 0, 4096);
  begun.transferred = 1024;
  EXPECT_EQ(descriptor_for(begun, kBoth), 6);
  begun.transferred = 1000;
  EXPECT_EQ(descriptor_for(begun, kBoth), 5);
}

TEST_F(Transfer, ARefusedDirectRequestIsRetriedOnceWithoutIt) {
  Request refused = request(Request::Op::kRead, 0, 4096);
  EXPECT_TRUE(retry_without_direct(refused, kBoth, EINVAL));
  EXPECT_EQ(descriptor_for(refused, kBoth), 5);
  EXPECT_FALSE(retry_without_direct(refused, kBoth, EINVAL));
  begin_transfer(refused);
  EXPECT_EQ(descriptor_for(refused, kBoth), 6);
}

TEST_F(Transfer, NoOtherErrorAndNoOtherDescriptorIsTriedAgain) {
  Request direct = request(Request::Op::kRead, 0, 4096);
  for (const int error_number : {EIO, ENOSPC, EBADF, 0}) {
    EXPECT_FALSE(retry_without_direct(direct, kBoth, error_number));
  }
  Request unaligned = request(Request::Op::kRead, 1, 4096);
  EXPECT_FALSE(retry_without_direct(unaligned, kBoth, EINVAL));
}

TEST_F(Transfer, ShortResultsAddUpToTheWhole) {
  Request whole = request(Request::Op::kWrite, 0, 100);
  EXPECT_EQ(account(whole, 60), TransferState::kContinue);
  EXPECT_EQ(account(whole, 39), TransferState::kContinue);
  EXPECT_EQ(whole.transferred, 99U);
  EXPECT_EQ(account(whole, 1), TransferState::kWhole);
}

TEST_F(Transfer, TheEndOfTheFileFillsARestWithZerosAndNoMore) {
  std::fill(std::begin(page_), std::end(page_), std::byte{0xee});
  Request read = request(Request::Op::kRead, 0, 100);
  ASSERT_EQ(account(read, 60), TransferState::kContinue);
  ASSERT_EQ(account(read, 0), TransferState::kWhole);
  EXPECT_EQ(page_[59], std::byte{0xee});
  EXPECT_TRUE(all_zero(std::span(page_).subspan(60, 40)));
  EXPECT_EQ(page_[100], std::byte{0xee});
}

TEST_F(Transfer, AWriteOfNothingIsAnErrorAndNotAnEndlessLoop) {
  Request write = request(Request::Op::kWrite, 0, 100);
  EXPECT_EQ(account(write, 0), TransferState::kFailed);
  const Error error = transfer_error(write, 0);
  EXPECT_EQ(error.kind, ErrorKind::kIo);
  EXPECT_EQ(error.error_number, EIO);
}

TEST_F(Transfer, AnErrorNamesTheCallTheFileAndTheOffset) {
  Request read = request(Request::Op::kRead, 5000, 100);
  ASSERT_EQ(account(read, 60), TransferState::kContinue);
  ASSERT_EQ(account(read, -EIO), TransferState::kFailed);
  const Error error = transfer_error(read, EIO);
  EXPECT_EQ(error.system_call, "read");
  EXPECT_EQ(error.path, "descriptors");
  EXPECT_EQ(error.offset, 5060U);
  EXPECT_EQ(transfer_error(request(Request::Op::kWrite, 0, 1), ENOSPC).kind, ErrorKind::kNoSpace);
}

}  // namespace
}  // namespace blockpull::io
