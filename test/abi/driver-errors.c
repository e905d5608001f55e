// SPDX-License-Identifier: Apache-2.0
//
// What is refused below the entry points, on qemu:///embed: arguments URI and DOMAIN, whose disk
// vda can be pulled.

#include "show.h"

static void on_event(virConnectPtr conn, virDomainPtr dom, void* opaque) {
  (void)conn, (void)dom, (void)opaque;
}

int main(int count, char** arguments) {
  if (count != 3) {
    return 2;
  }
  virSetErrorFunc(NULL, count_error);
  SHOW_POINTER(virConnectOpen("noscheme"));
  SHOW_POINTER(virConnectOpen("qemu:///embed?root=/nowhere"));
  virConnectPtr conn = virConnectOpen(arguments[1]);
  SHOW_POINTER(virDomainLookupByName(conn, "nobody"));
  SHOW_POINTER(virDomainLookupByUUIDString(conn, "c7a5fdbd-edaf-9455-926a-d65c16db1809"));
  virDomainPtr dom = virDomainLookupByName(conn, arguments[2]);
  virDomainBlockJobInfo info;
  SHOW_POINTER(virDomainGetXMLDesc(dom, 1U << 10));
  SHOW(virDomainBlockPull(dom, "vda", 0, 1));
  SHOW(virDomainBlockPull(dom, "vdz", 0, 0));
  SHOW(virDomainBlockPull(dom, "", 0, 0));
  SHOW(virDomainBlockPull(dom, "vda", 8796093022208UL, 0));
  SHOW(virDomainBlockPull(dom, "vda", 1UL << 63, VIR_DOMAIN_BLOCK_PULL_BANDWIDTH_BYTES));
  SHOW(virDomainBlockRebase(dom, "vda", "vda[9]", 0, 0));
  SHOW(virDomainBlockRebase(dom, "vda", NULL, 0, VIR_DOMAIN_BLOCK_REBASE_RELATIVE));
  SHOW(virDomainBlockJobAbort(dom, "vda", 0));
  SHOW(virDomainBlockJobSetSpeed(dom, "vda", 1, 0));
  SHOW(virDomainBlockJobSetSpeed(dom, "vdz", 8796093022208UL, 0));
  SHOW(virDomainGetBlockJobInfo(dom, "vdz", &info, 0));
  SHOW(virDomainGetBlockJobInfo(dom, "vda", &info, 2));
  SHOW(virDomainGetBlockJobInfo(dom, "vda", &info, 0));
  SHOW(virEventRunDefaultImpl());
  SHOW(virEventRegisterDefaultImpl());
  SHOW(virConnectDomainEventRegisterAny(conn, NULL, 28, on_event, NULL, NULL));
  SHOW(virConnectDomainEventRegisterAny(conn, NULL, VIR_DOMAIN_EVENT_ID_LIFECYCLE, on_event, NULL,
                                        NULL));
  SHOW(virConnectDomainEventDeregisterAny(conn, 7));
  SHOW(virDomainSuspend(dom));
  SHOW_POINTER(virDomainGetOSType(dom));
  SHOW(virDomainGetMaxMemory(dom));
  SHOW(virDomainFree(dom));
  SHOW(virConnectClose(conn));
  return 0;
}
