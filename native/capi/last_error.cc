// SPDX-License-Identifier: Apache-2.0

#include "capi/last_error.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include <pthread.h>

#include "core/base/text.h"

namespace blockpull::capi {
namespace {

constexpr int kLevelWarning = 1;
constexpr int kLevelError = 2;

/// Two atomics and no lock, which a child of fork() might find held. libvirt's own are plain.
std::atomic<virErrorFunc> handler{nullptr};
std::atomic<void*> handler_data{nullptr};

pthread_key_t make_key() {
  pthread_key_t key = 0;
  if (pthread_key_create(&key,
                         [](void* error) { virFreeError(static_cast<virErrorPtr>(error)); }) != 0) {
    std::abort();
  }
  return key;
}

/// This thread's error, created at the first call; null if there is no memory for it.
virErrorPtr last_error() {
  static const pthread_key_t key = make_key();
  auto* error = static_cast<virErrorPtr>(pthread_getspecific(key));
  if (error == nullptr) {
    error = static_cast<virErrorPtr>(std::calloc(1, sizeof(virError)));
    if (error != nullptr && pthread_setspecific(key, error) != 0) {
      std::free(error);
      return nullptr;
    }
  }
  return error;
}

char* copy_of(const char* from) {
  return from == nullptr ? nullptr : ::strdup(from);
}

void dispatch(virErrorPtr error) {
  if (const auto told = handler.load(); told != nullptr) {
    told(handler_data.load(), error);
  } else {
    virDefaultErrorFunc(error);
  }
}

void fill_report(virError& error, const virt::Failure& failure) {
  const std::string_view message = failure.error.message;
  const std::string_view prefix = virt::prefix_of(failure.code);
  const std::size_t start = message.starts_with(prefix) ? prefix.size() : 0;
  error.str1 = ::strdup(text(message.substr(0, start), "%s").c_str());
  error.str2 = ::strdup(std::string(message.substr(start)).c_str());
  error.int1 = failure.code == virt::ErrorCode::kSystemError ? failure.error.error_number : -1;
  error.int2 = -1;
}

/// libvirt's name for the part of it that found the error.
const char* domain_name(int domain) {
  switch (static_cast<virt::ErrorDomain>(domain)) {
    case virt::ErrorDomain::kNone:
      return "";
    case virt::ErrorDomain::kDom:
      return "Domain";
    case virt::ErrorDomain::kQemu:
      return "QEMU Driver";
    case virt::ErrorDomain::kStorage:
      return "Storage Driver";
    case virt::ErrorDomain::kPublic:
      return "Domain Config";
    case virt::ErrorDomain::kUri:
      return "URI Utils";
  }
  return "Unknown";
}

}  // namespace

void raise(const virt::Failure& failure) {
  virResetLastError();
  virErrorPtr error = last_error();
  if (error == nullptr) {
    return;
  }
  error->code = static_cast<int>(failure.code);
  error->domain = static_cast<int>(failure.domain);
  error->level = kLevelError;
  error->message = ::strdup(failure.error.message.c_str());
  if (failure.argument) {
    error->str1 = ::strdup(failure.argument->function.c_str());
    error->str2 = ::strdup(failure.argument->name.c_str());
  } else {
    fill_report(*error, failure);
  }
  dispatch(error);
}

void raise_unknown() {
  virResetLastError();
  if (virErrorPtr error = last_error(); error != nullptr) {
    error->code = static_cast<int>(virt::ErrorCode::kInternalError);
    error->level = kLevelError;
    error->message = ::strdup("An error occurred, but the cause is unknown");
    dispatch(error);
  }
}

}  // namespace blockpull::capi

using blockpull::capi::copy_of;
using blockpull::capi::last_error;

virErrorPtr virGetLastError() {
  virErrorPtr error = last_error();
  return error == nullptr || error->code == 0 ? nullptr : error;
}

const char* virGetLastErrorMessage() {
  const virErrorPtr error = virGetLastError();
  if (error == nullptr) {
    return "no error";
  }
  return error->message == nullptr ? "unknown error" : error->message;
}

int virGetLastErrorCode() {
  const virErrorPtr error = virGetLastError();
  return error == nullptr ? 0 : error->code;
}

int virGetLastErrorDomain() {
  const virErrorPtr error = virGetLastError();
  return error == nullptr ? 0 : error->domain;
}

void virResetLastError() {
  virResetError(last_error());
}

/// Null only if there is no memory: a copy of no error has code 0.
virErrorPtr virSaveLastError() {
  auto* saved = static_cast<virErrorPtr>(std::calloc(1, sizeof(virError)));
  if (saved != nullptr) {
    virCopyLastError(saved);
  }
  return saved;
}

int virCopyLastError(virErrorPtr to) {
  if (to == nullptr) {
    return -1;
  }
  const virErrorPtr error = last_error();
  if (error == nullptr) {
    *to = {};
    return 0;
  }
  *to = *error;
  to->message = copy_of(error->message);
  to->str1 = copy_of(error->str1);
  to->str2 = copy_of(error->str2);
  to->str3 = copy_of(error->str3);
  return error->code;
}

void virResetError(virErrorPtr err) {
  if (err != nullptr) {
    std::free(err->message);
    std::free(err->str1);
    std::free(err->str2);
    std::free(err->str3);
    *err = {};
  }
}

void virFreeError(virErrorPtr err) {
  virResetError(err);
  std::free(err);
}

void virSetErrorFunc(void* userData, virErrorFunc handler) {
  blockpull::capi::handler_data = userData;
  blockpull::capi::handler = handler;
}

void virDefaultErrorFunc(virErrorPtr err) {
  if (err == nullptr || err->code == 0) {
    return;
  }
  const char* level = err->level == blockpull::capi::kLevelWarning ? "warning" : "error";
  std::fprintf(stderr, "libvirt: %s %s : %s\n", blockpull::capi::domain_name(err->domain), level,
               err->message == nullptr ? "" : err->message);
}
