// SPDX-License-Identifier: Apache-2.0
//
// A program that goes while its pull runs: arguments URI and how it goes, which is 'return',
// 'exit' with every handle closed but the connection that a callback holds, or 'close'. The pull is
// under way, and takes seconds if it is let.

#include <sched.h>

#include "show.h"

static void on_block_job(virConnectPtr of, virDomainPtr domain, void* opaque) {
  (void)of, (void)domain, (void)opaque;
}

/// Here and not in main(), so that a leak checker finds what is left open.
static virConnectPtr conn;
static virDomainPtr dom;

int main(int count, char** arguments) {
  if (count != 3) {
    return 2;
  }
  virDomainBlockJobInfo info;
  conn = virConnectOpen(arguments[1]);
  dom = virDomainLookupByName(conn, "vm0");
  virEventRegisterDefaultImpl();
  SHOW(virDomainBlockPull(dom, "vda", 262144, VIR_DOMAIN_BLOCK_PULL_BANDWIDTH_BYTES));
  while (virDomainGetBlockJobInfo(dom, "vda", &info, 0) == 1 && info.cur == 0) {
    sched_yield();
  }
  if (strcmp(arguments[2], "exit") == 0) {
    virConnectDomainEventRegisterAny(conn, NULL, 8, on_block_job, NULL, NULL);
    virDomainFree(dom);
    SHOW(virConnectClose(conn));
    exit(0);
  }
  if (strcmp(arguments[2], "close") == 0) {
    virDomainFree(dom);
    SHOW(virConnectClose(conn));
  }
  return 0;
}
