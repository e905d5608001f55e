// SPDX-License-Identifier: Apache-2.0
//
// The sentences of QEMU's versions, and their meaning.

#include "driver/qemu/qemu_words.h"

#include <gtest/gtest.h>

namespace blockpull::driver::qemu {
namespace {

Error said(std::string text, std::string error_class = "GenericError") {
  Error error = make_error(ErrorKind::kQemuError, "unable to execute QEMU command");
  error.qemu = QemuOrigin{"command", std::move(error_class), std::move(text)};
  return error;
}

struct Sentence {
  const char* versions;
  bool (*means)(const Error&);
  const char* text;
};

class QemuWords : public ::testing::TestWithParam<Sentence> {};

TEST_P(QemuWords, EachVersionsSentencesHaveTheirMeaning) {
  const Sentence& sentence = GetParam();
  EXPECT_TRUE(sentence.means(said(sentence.text))) << sentence.versions << ": " << sentence.text;
  EXPECT_FALSE(sentence.means(said("Something else"))) << sentence.versions;
  EXPECT_FALSE(sentence.means(make_error(ErrorKind::kIo, sentence.text)))
      << "not said by QEMU: " << sentence.text;
}

INSTANTIATE_TEST_SUITE_P(
    Sentences, QemuWords,
    ::testing::Values(
        Sentence{"7.2 to 10.0", &words::disk_has_job,
                 "Node 'disk' is busy: block device is in use by block job: stream"},
        Sentence{"7.2 to 10.0", &words::disk_has_job, "Job ID 'j' already in use"},
        Sentence{"7.2 to 10.0", &words::no_such_base, "Node 'b' is not a backing image of 'disk'"},
        Sentence{"7.2 to 10.0", &words::no_such_base, "Can't find '/b' in the backing chain"},
        Sentence{"7.2 to 10.0", &words::no_such_base, "Cannot find device='' nor node-name='b'"},
        Sentence{"7.2 to 10.0", &words::no_such_disk, "Cannot find device='x' nor node-name='x'"},
        Sentence{"7.2 to 10.0", &words::is_read_only, "Block node is read-only"},
        Sentence{"before 2.12", &words::command_unknown, "Parameter 'auto-finalize' is unexpected"},
        Sentence{"7.2 to 10.0", &words::no_such_node, "Failed to find node with node-name='f'"},
        Sentence{"7.2 to 10.0", &words::node_exists, "Duplicate nodes with node-name='f'"},
        Sentence{"7.2 to 10.0", &words::node_is_read_only, "Block node 'f' is read-only"},
        Sentence{"7.2 to 10.0", &words::child_is_fixed, "Cannot change the option 'image'"},
        Sentence{"7.2", &words::lacks_driver, "Unknown driver 'blkdebug'"},
        Sentence{"8.0 to 10.0", &words::lacks_driver,
                 "Parameter 'driver' does not accept value 'blkdebug'"},
        Sentence{"7.2 to 10.0", &words::lacks_driver, "Driver 'blkdebug' is not whitelisted"},
        Sentence{"7.2 to 10.0", &words::already_paused, "Job is already paused"},
        Sentence{"7.2 to 10.0", &words::not_paused, "Job is not paused"},
        Sentence{"7.2 to 10.0", &words::not_paused, "Can't resume a job that was not paused"},
        Sentence{"7.2 to 10.0", &words::takes_no_command,
                 "Job 'j' in state 'pending' cannot accept command verb 'resume'"}));

TEST(QemuWordsByClass, MeanAnUnknownCommandADiskOrAJobThatIsNotThere) {
  EXPECT_TRUE(words::command_unknown(said("The command is not there", "CommandNotFound")));
  EXPECT_TRUE(words::no_such_disk(said("Device 'x' not found", "DeviceNotFound")));
  EXPECT_TRUE(words::no_such_job(said("Block job 'x' not found", "DeviceNotActive")));
  EXPECT_FALSE(words::no_such_job(said("Block job 'x' not found")));
}

TEST(QemuWordsOfAJob, GiveItsKind) {
  EXPECT_EQ(words::kind_of_job_error("No space left on device"), ErrorKind::kNoSpace);
  EXPECT_EQ(words::kind_of_job_error("Input/output error"), ErrorKind::kIo);
  EXPECT_EQ(words::kind_of_job_error("Unspecified error"), ErrorKind::kJobFailed);
  for (const ErrorKind kind : {ErrorKind::kNoSpace, ErrorKind::kIo}) {
    EXPECT_EQ(words::kind_of_job_error(words::words_for(kind)), kind);
  }
}

}  // namespace
}  // namespace blockpull::driver::qemu
