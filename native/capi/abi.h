// SPDX-License-Identifier: Apache-2.0
//
// What programs that were compiled against <libvirt/libvirt.h> expect of libvirt.so.0, as far as it
// works here: types with libvirt's layout, and functions with its names and arguments. libvirt's
// own headers are not used, since this library stands alone; test/abi compares the two.
//
// The two handles are opaque to programs, so native/capi defines them.
//
// Layouts are those of LP64: x86-64 and arm64 Linux.

#pragma once

#include <cstddef>

namespace blockpull::capi {
class ConnectionHandle;
class DomainHandle;
}  // namespace blockpull::capi

using virConnectPtr = blockpull::capi::ConnectionHandle*;
using virDomainPtr = blockpull::capi::DomainHandle*;

/// The texts come from malloc() and may be null.
struct virError {
  int code;
  int domain;
  char* message;
  /// 0 none, 1 warning, 2 error.
  int level;
  virConnectPtr conn;
  virDomainPtr dom;
  char* str1;
  char* str2;
  char* str3;
  int int1;
  int int2;
  void* net;
};
using virErrorPtr = virError*;

static_assert(sizeof(virError) == 80 && offsetof(virError, level) == 16 &&
              offsetof(virError, str1) == 40 && offsetof(virError, int1) == 64 &&
              offsetof(virError, net) == 72);

struct virDomainBlockJobInfo {
  int type;
  unsigned long bandwidth;
  unsigned long long cur;
  unsigned long long end;
};
using virDomainBlockJobInfoPtr = virDomainBlockJobInfo*;

static_assert(sizeof(virDomainBlockJobInfo) == 32 &&
              offsetof(virDomainBlockJobInfo, bandwidth) == 8 &&
              offsetof(virDomainBlockJobInfo, cur) == 16 &&
              offsetof(virDomainBlockJobInfo, end) == 24);

struct virConnectAuth {
  int* credtype;
  unsigned int ncredtype;
  int (*cb)(void* cred, unsigned int ncred, void* cbdata);
  void* cbdata;
};
using virConnectAuthPtr = virConnectAuth*;

static_assert(sizeof(virConnectAuth) == 32 && offsetof(virConnectAuth, cb) == 16);

using virErrorFunc = void (*)(void* user_data, virErrorPtr error);
using virFreeCallback = void (*)(void* opaque);
using virConnectDomainEventGenericCallback = void (*)(virConnectPtr conn, virDomainPtr dom,
                                                      void* opaque);
/// The real type of the callbacks for events 8 and 16, whatever they were cast to.
using virConnectDomainEventBlockJobCallback = void (*)(virConnectPtr conn, virDomainPtr dom,
                                                       const char* disk, int type, int status,
                                                       void* opaque);

#pragma GCC visibility push(default)
extern "C" {

extern virConnectAuthPtr virConnectAuthPtrDefault;

int virInitialize();
int virGetVersion(unsigned long* libVer, const char* type, unsigned long* typeVer);

virConnectPtr virConnectOpen(const char* name);
virConnectPtr virConnectOpenReadOnly(const char* name);
int virConnectRef(virConnectPtr conn);
int virConnectClose(virConnectPtr conn);

int virConnectListAllDomains(virConnectPtr conn, virDomainPtr** domains, unsigned int flags);
virDomainPtr virDomainDefineXML(virConnectPtr conn, const char* xml);
virDomainPtr virDomainLookupByName(virConnectPtr conn, const char* name);
virDomainPtr virDomainLookupByUUIDString(virConnectPtr conn, const char* uuidstr);
const char* virDomainGetName(virDomainPtr domain);
unsigned int virDomainGetID(virDomainPtr domain);
int virDomainGetUUIDString(virDomainPtr domain, char* buf);
char* virDomainGetXMLDesc(virDomainPtr domain, unsigned int flags);
int virDomainRef(virDomainPtr domain);
int virDomainFree(virDomainPtr domain);

int virDomainBlockPull(virDomainPtr dom, const char* disk, unsigned long bandwidth,
                       unsigned int flags);
int virDomainBlockRebase(virDomainPtr dom, const char* disk, const char* base,
                         unsigned long bandwidth, unsigned int flags);
int virDomainBlockJobAbort(virDomainPtr dom, const char* disk, unsigned int flags);
int virDomainBlockJobSetSpeed(virDomainPtr dom, const char* disk, unsigned long bandwidth,
                              unsigned int flags);
int virDomainGetBlockJobInfo(virDomainPtr dom, const char* disk, virDomainBlockJobInfoPtr info,
                             unsigned int flags);

int virEventRegisterDefaultImpl();
int virEventRunDefaultImpl();
int virConnectDomainEventRegisterAny(virConnectPtr conn, virDomainPtr dom, int eventID,
                                     virConnectDomainEventGenericCallback cb, void* opaque,
                                     virFreeCallback freecb);
int virConnectDomainEventDeregisterAny(virConnectPtr conn, int callbackID);

virErrorPtr virGetLastError();
const char* virGetLastErrorMessage();
int virGetLastErrorCode();
int virGetLastErrorDomain();
void virResetLastError();
virErrorPtr virSaveLastError();
int virCopyLastError(virErrorPtr to);
void virResetError(virErrorPtr err);
void virFreeError(virErrorPtr err);
void virSetErrorFunc(void* userData, virErrorFunc handler);
void virDefaultErrorFunc(virErrorPtr err);
}
#pragma GCC visibility pop
