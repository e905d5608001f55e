// SPDX-License-Identifier: Apache-2.0

#include "core/qmp/message.h"

#include <utility>

#include "core/base/text.h"

namespace blockpull::qmp {
namespace {

Greeting read_greeting(const Json& body) {
  const Json qemu = body.member("version").member("qemu");
  Greeting greeting;
  greeting.version.major = qemu.member("major").number().value_or(0);
  greeting.version.minor = qemu.member("minor").number().value_or(0);
  greeting.version.micro = qemu.member("micro").number().value_or(0);
  return greeting;
}

CommandError read_error(const Json& body) {
  return {body.member("class").text_or_empty(), body.member("desc").text_or_empty()};
}

}  // namespace

Result<Message> read_message(std::string_view object) {
  BLOCKPULL_TRY(message, Json::parse(object));
  if (const Json greeting = message.member("QMP"); greeting.is_object()) {
    return Message(read_greeting(greeting));
  }
  if (const auto event = message.member("event").text()) {
    return Message(Event{*event, message.member("data")});
  }
  Reply reply;
  reply.id = message.member("id").number();
  if (const Json error = message.member("error"); error.is_object()) {
    reply.error = read_error(error);
    return Message(std::move(reply));
  }
  if (message.has("return")) {
    reply.value = message.member("return");
    return Message(std::move(reply));
  }
  return make_error(ErrorKind::kMonitorLost,
                    text("message '", excerpt(object),
                         "' has none of the members 'QMP', 'return', 'error' and 'event'"));
}

}  // namespace blockpull::qmp
