// SPDX-License-Identifier: Apache-2.0
//
// Pulls the disk vda of the domain vm0, of the connection in the argument, and prints the library that did
// it.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stdio.h>

int main(int argc, char** argv) {
  virConnectPtr conn = virConnectOpen(argc > 1 ? argv[1] : NULL);
  virDomainPtr dom = conn == NULL ? NULL : virDomainLookupByName(conn, "vm0");
  virDomainBlockJobInfo info = {0, 0, 0, 0};
  Dl_info library;
  int found;
  if (dom == NULL || virDomainBlockPull(dom, "vda", 0, 0) < 0) {
    return 1;
  }
  while ((found = virDomainGetBlockJobInfo(dom, "vda", &info, 0)) == 1) {
    nanosleep(&(struct timespec){0, 1000000}, NULL);
  }
  if (found < 0 || dladdr(dlsym(RTLD_DEFAULT, "virConnectOpen"), &library) == 0) {
    return 1;
  }
  printf("pulled on %s\n", library.dli_fname);
  virDomainFree(dom);
  virConnectClose(conn);
  return 0;
}
