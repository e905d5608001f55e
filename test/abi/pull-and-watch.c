// SPDX-License-Identifier: Apache-2.0
//
// A pull as a program for libvirt does it, on one that is aborted and then on one that ends by
// itself: argument URI, where the domain vm0 has the disk vda of 4 MiB, all of it below the active
// layer. Prints what it sees.

#include <sched.h>

#include "show.h"

static int ended;

static void on_block_job(virConnectPtr conn, virDomainPtr dom, const char* disk, int type,
                         int status, void* opaque) {
  (void)conn;
  const char* last = strrchr(disk, '/');
  printf("%s: %s of '%s', type %d, status %d\n", (const char*)opaque,
         last == NULL ? disk : last + 1, virDomainGetName(dom), type, status);
  ended += last == NULL;
}

static void on_free(void* opaque) {
  printf("freed %s\n", (const char*)opaque);
}

static void run_until_ended(void) {
  for (ended = 0; ended == 0;) {
    if (virEventRunDefaultImpl() < 0) {
      exit(1);
    }
  }
}

static void pull_and_abort(virDomainPtr dom) {
  virDomainBlockJobInfo info;
  const unsigned int bytes = VIR_DOMAIN_BLOCK_JOB_INFO_BANDWIDTH_BYTES;
  SHOW(virDomainBlockPull(dom, "vda", 262144, VIR_DOMAIN_BLOCK_PULL_BANDWIDTH_BYTES));
  SHOW(virDomainBlockPull(dom, "vda", 0, 0));
  SHOW(virDomainGetBlockJobInfo(dom, "vda", &info, bytes));
  printf("type %d, bandwidth %lu, end %llu\n", info.type, info.bandwidth, info.end);
  SHOW(virDomainBlockJobSetSpeed(dom, "vda", 524288, VIR_DOMAIN_BLOCK_JOB_SPEED_BANDWIDTH_BYTES));
  SHOW(virDomainGetBlockJobInfo(dom, "vda", &info, bytes));
  printf("bandwidth %lu\n", info.bandwidth);
  SHOW(virDomainGetBlockJobInfo(dom, "vda", &info, 0));
  printf("bandwidth %lu MiB/s\n", info.bandwidth);
  while (virDomainGetBlockJobInfo(dom, "vda", &info, 0) == 1 && info.cur == 0) {
    sched_yield();
  }
  printf("moving: %s\n", info.cur > 0 && info.cur < info.end ? "yes" : "no");
  SHOW(virDomainBlockJobAbort(dom, "vda", 0));
  SHOW(virDomainGetBlockJobInfo(dom, "vda", &info, 0));
  printf("type %d, bandwidth %lu, cur %llu, end %llu\n", info.type, info.bandwidth, info.cur,
         info.end);
  run_until_ended();
}

static void pull_to_the_end(virDomainPtr dom) {
  SHOW(virDomainBlockRebase(dom, "vda", "vda[2]", 0, 0));
  run_until_ended();
  SHOW(virDomainBlockPull(dom, "vda", 0, 0));
  run_until_ended();
  char* xml = virDomainGetXMLDesc(dom, 0);
  printf("chain in the XML: %s\n", strstr(xml, "<backingStore/>") == NULL ? "as it was" : "ended");
  free(xml);
}

int main(int count, char** arguments) {
  if (count != 2 || virInitialize() < 0) {
    return 2;
  }
  char uuid[VIR_UUID_STRING_BUFLEN];
  virSetErrorFunc(NULL, count_error);
  SHOW(virEventRegisterDefaultImpl());
  virConnectPtr conn = virConnectOpen(arguments[1]);
  virDomainPtr dom = virDomainLookupByName(conn, "vm0");
  SHOW(virDomainGetUUIDString(dom, uuid));
  virDomainPtr same = virDomainLookupByUUIDString(conn, uuid);
  printf("'%s' has id %d\n", virDomainGetName(same), (int)virDomainGetID(same));
  SHOW(virDomainFree(same));
  SHOW(virConnectDomainEventRegisterAny(conn, dom, VIR_DOMAIN_EVENT_ID_BLOCK_JOB,
                                        VIR_DOMAIN_EVENT_CALLBACK(on_block_job), "event 8",
                                        on_free));
  SHOW(virConnectDomainEventRegisterAny(conn, NULL, VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2,
                                        VIR_DOMAIN_EVENT_CALLBACK(on_block_job), "event 16",
                                        on_free));
  pull_and_abort(dom);
  pull_to_the_end(dom);
  SHOW(virConnectRef(conn));
  SHOW(virConnectClose(conn));
  SHOW(virConnectDomainEventDeregisterAny(conn, 0));
  SHOW(virConnectDomainEventDeregisterAny(conn, 1));
  SHOW(virDomainFree(dom));
  SHOW(virConnectClose(conn));
  return 0;
}
