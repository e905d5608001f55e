// SPDX-License-Identifier: Apache-2.0
//
// What the public entry points refuse, and how they count, whatever driver is below: arguments URI
// and DOMAIN. Run on libvirt's own library and on ours it prints the same lines.

#include "show.h"

static void on_event(virConnectPtr conn, virDomainPtr dom, void* opaque) {
  (void)conn, (void)dom, (void)opaque;
}

static void on_other_event(virConnectPtr conn, virDomainPtr dom, void* opaque) {
  (void)conn, (void)dom, (void)opaque, (void)handled;
}

static void on_free(void* opaque) {
  printf("freed %s\n", (const char*)opaque);
}

static void show_null_handles(void) {
  char text[VIR_UUID_STRING_BUFLEN];
  virDomainBlockJobInfo info;
  memset(&info, 1, sizeof info);
  SHOW(virConnectClose(NULL));
  SHOW(virConnectRef(NULL));
  SHOW_POINTER(virDomainLookupByName(NULL, "x"));
  SHOW_POINTER(virDomainLookupByUUIDString(NULL, "x"));
  SHOW(virDomainFree(NULL));
  SHOW(virDomainRef(NULL));
  SHOW_POINTER(virDomainGetName(NULL));
  SHOW(virDomainGetID(NULL));
  SHOW(virDomainGetUUIDString(NULL, text));
  SHOW_POINTER(virDomainGetXMLDesc(NULL, 0));
  SHOW(virDomainBlockPull(NULL, NULL, 0, 0));
  SHOW(virDomainBlockRebase(NULL, NULL, NULL, 0, 0));
  SHOW(virDomainBlockJobAbort(NULL, NULL, 0));
  SHOW(virDomainBlockJobSetSpeed(NULL, NULL, 0, 0));
  SHOW(virDomainGetBlockJobInfo(NULL, NULL, &info, 0));
  printf("info is cleared: %d %lu %llu %llu\n", info.type, info.bandwidth, info.cur, info.end);
  SHOW(virConnectDomainEventRegisterAny(NULL, NULL, 8, on_event, NULL, NULL));
  SHOW(virConnectDomainEventDeregisterAny(NULL, 0));
}

static void show_arguments(virConnectPtr conn, virDomainPtr dom) {
  virDomainBlockJobInfo info;
  SHOW_POINTER(virDomainLookupByName(conn, NULL));
  SHOW_POINTER(virDomainLookupByUUIDString(conn, NULL));
  SHOW_POINTER(virDomainLookupByUUIDString(conn, "garbage"));
  SHOW(virDomainGetUUIDString(dom, NULL));
  SHOW(virDomainBlockPull(dom, NULL, 0, 0));
  SHOW(virDomainBlockJobAbort(dom, NULL, 0));
  SHOW(virDomainBlockJobSetSpeed(dom, NULL, 0, 0));
  SHOW(virDomainGetBlockJobInfo(dom, NULL, &info, 0));
  SHOW(virDomainGetBlockJobInfo(dom, "vda", NULL, 0));
  SHOW(virDomainBlockRebase(dom, NULL, NULL, 0, VIR_DOMAIN_BLOCK_REBASE_SHALLOW));
  SHOW(virDomainBlockRebase(dom, "vda", NULL, 0, VIR_DOMAIN_BLOCK_REBASE_COPY));
  SHOW(virDomainBlockRebase(dom, "vda", NULL, 0, VIR_DOMAIN_BLOCK_REBASE_SHALLOW));
}

static void show_events(virConnectPtr conn, virDomainPtr dom, virConnectPtr other) {
  SHOW(virConnectDomainEventRegisterAny(conn, NULL, 8, on_event, NULL, NULL));
  SHOW(virEventRegisterDefaultImpl());
  SHOW(virConnectDomainEventRegisterAny(other, dom, 8, on_event, "a", on_free));
  SHOW(virConnectDomainEventRegisterAny(conn, NULL, 8, NULL, "a", on_free));
  SHOW(virConnectDomainEventRegisterAny(conn, NULL, -1, on_event, "a", on_free));
  SHOW(virConnectDomainEventRegisterAny(conn, NULL, 8, on_event, "a", on_free));
  SHOW(virConnectDomainEventRegisterAny(conn, NULL, 8, on_event, "b", on_free));
  SHOW(virConnectDomainEventRegisterAny(conn, dom, 8, on_event, "c", on_free));
  SHOW(virConnectDomainEventRegisterAny(conn, NULL, 16, on_event, "d", on_free));
  SHOW(virConnectDomainEventRegisterAny(conn, NULL, 8, on_other_event, "e", NULL));
  SHOW(virConnectDomainEventDeregisterAny(conn, -1));
  SHOW(virConnectDomainEventDeregisterAny(conn, 1));
  SHOW(virConnectDomainEventDeregisterAny(conn, 0));
  SHOW(virConnectDomainEventDeregisterAny(conn, 3));
  SHOW(virConnectDomainEventRegisterAny(conn, NULL, 8, on_event, "f", on_free));
  SHOW(virConnectDomainEventDeregisterAny(conn, 2));
  SHOW(virConnectDomainEventDeregisterAny(conn, 4));
}

static void show_read_only(const char* uri, const char* name) {
  virConnectPtr conn = virConnectOpenReadOnly(uri);
  virDomainPtr dom = virDomainLookupByName(conn, name);
  virDomainBlockJobInfo info;
  SHOW(virDomainBlockPull(dom, NULL, 0, 0));
  SHOW(virDomainBlockRebase(dom, NULL, NULL, 0, 1));
  SHOW(virDomainBlockJobAbort(dom, NULL, 0));
  SHOW(virDomainBlockJobSetSpeed(dom, NULL, 0, 0));
  SHOW(virDomainGetBlockJobInfo(dom, NULL, &info, 0));
  SHOW_POINTER(virDomainGetXMLDesc(dom, VIR_DOMAIN_XML_SECURE));
  SHOW(virDomainFree(dom));
  SHOW(virConnectClose(conn));
}

static void show_last_error(void) {
  virError copy;
  virResetLastError();
  printf("'%s' %d %d\n", virGetLastErrorMessage(), virGetLastErrorCode(), virGetLastErrorDomain());
  virErrorPtr saved = virSaveLastError();
  printf("saved %d '%s'\n", saved->code, or_null(saved->message));
  virFreeError(saved);
  virDomainFree(NULL);
  printf("'%s' %d %d\n", virGetLastErrorMessage(), virGetLastErrorCode(), virGetLastErrorDomain());
  printf("copied %d\n", virCopyLastError(&copy));
  saved = virSaveLastError();
  virInitialize();
  virResetLastError();
  printf("saved %d '%s' '%s', copied '%s' '%s'\n", saved->code, saved->message, saved->str2,
         copy.message, copy.str1);
  virFreeError(saved);
  virResetError(&copy);
  printf("reset %d '%s'\n", copy.code, or_null(copy.message));
}

int main(int count, char** arguments) {
  if (count != 3) {
    return 2;
  }
  virSetErrorFunc(NULL, count_error);
  SHOW(virInitialize());
  SHOW(virGetVersion(NULL, NULL, NULL));
  show_null_handles();
  virConnectPtr conn = virConnectOpen(arguments[1]);
  virConnectPtr other = virConnectOpen(arguments[1]);
  virDomainPtr dom = virDomainLookupByName(conn, arguments[2]);
  SHOW(strcmp(virDomainGetName(dom), arguments[2]));
  show_arguments(conn, dom);
  show_events(conn, dom, other);
  SHOW(virConnectClose(other));
  show_read_only(arguments[1], arguments[2]);
  show_last_error();
  SHOW(virDomainRef(dom));
  SHOW(virDomainFree(dom));
  SHOW(virConnectRef(conn));
  SHOW(virConnectClose(conn));
  SHOW(virConnectClose(conn));
  SHOW(virDomainFree(dom));
  virSetErrorFunc(NULL, NULL);
  fflush(stdout);
  virDomainFree(NULL);
  return 0;
}
