// SPDX-License-Identifier: Apache-2.0
//
// Callbacks that change the list of callbacks while it is told an event, and one that lets go of
// the connection: argument URI, where the domain vm0 has the disk vda. Prints who is told what.

#include "show.h"

static int ids[4];
static int told;

static void on_free(void* opaque) {
  printf("freed %s\n", (const char*)opaque);
}

static void say(const char* who, const char* disk) {
  const char* last = strrchr(disk, '/');
  printf("%s is told of '%s'\n", who, last == NULL ? disk : last + 1);
  ++told;
}

static void on_late(virConnectPtr conn, virDomainPtr dom, const char* disk, int type, int status,
                    void* opaque) {
  (void)conn, (void)dom, (void)type, (void)status;
  say(opaque, disk);
}

static void on_third(virConnectPtr conn, virDomainPtr dom, const char* disk, int type, int status,
                     void* opaque) {
  on_late(conn, dom, disk, type, status, opaque);
}

static void on_second(virConnectPtr conn, virDomainPtr dom, const char* disk, int type, int status,
                      void* opaque) {
  on_late(conn, dom, disk, type, status, opaque);
}

/// Goes, takes the second with it, and lets another one in.
static void on_first(virConnectPtr conn, virDomainPtr dom, const char* disk, int type, int status,
                     void* opaque) {
  (void)type, (void)status;
  say(opaque, disk);
  SHOW(virConnectDomainEventDeregisterAny(conn, ids[0]));
  SHOW(virConnectDomainEventDeregisterAny(conn, ids[1]));
  SHOW(virConnectDomainEventDeregisterAny(conn, ids[1]));
  ids[3] = virConnectDomainEventRegisterAny(conn, dom, 8, VIR_DOMAIN_EVENT_CALLBACK(on_late),
                                            "late", on_free);
  SHOW(virDomainBlockPull(dom, "vda", 0, 0));
}

/// Goes as the last one, on a connection that nobody else holds any more.
static void on_last(virConnectPtr conn, virDomainPtr dom, const char* disk, int type, int status,
                    void* opaque) {
  (void)type, (void)status;
  say(opaque, disk);
  SHOW(virConnectDomainEventDeregisterAny(conn, ids[2]));
  SHOW(virConnectDomainEventDeregisterAny(conn, ids[3]));
  SHOW(virDomainBlockPull(dom, "vda", 0, 0));
  SHOW(virConnectClose(conn));
}

static void run_until_told(int count) {
  while (told < count && virEventRunDefaultImpl() == 0) {
  }
}

int main(int count, char** arguments) {
  if (count != 2) {
    return 2;
  }
  virSetErrorFunc(NULL, count_error);
  virEventRegisterDefaultImpl();
  virConnectPtr conn = virConnectOpen(arguments[1]);
  virDomainPtr dom = virDomainLookupByName(conn, "vm0");
  ids[0] = virConnectDomainEventRegisterAny(conn, NULL, 8, VIR_DOMAIN_EVENT_CALLBACK(on_first),
                                            "first", on_free);
  ids[1] = virConnectDomainEventRegisterAny(conn, NULL, 8, VIR_DOMAIN_EVENT_CALLBACK(on_second),
                                            "second", on_free);
  ids[2] = virConnectDomainEventRegisterAny(conn, NULL, 8, VIR_DOMAIN_EVENT_CALLBACK(on_third),
                                            "third", on_free);
  SHOW(virDomainBlockPull(dom, "vda", 0, 0));
  run_until_told(2);
  puts("the second pull");
  run_until_told(4);
  virConnectDomainEventDeregisterAny(conn, ids[2]);
  ids[2] = virConnectDomainEventRegisterAny(conn, NULL, 16, VIR_DOMAIN_EVENT_CALLBACK(on_last),
                                            "last", on_free);
  SHOW(virDomainBlockPull(dom, "vda", 0, 0));
  SHOW(virDomainFree(dom));
  run_until_told(6);
  return 0;
}
