// SPDX-License-Identifier: Apache-2.0
//
// fork() while a pull runs: argument URI. The child tries every call, then leaves by exit(); its
// parent goes on. Before it opens anything, and after it has closed everything, a child may open a
// connection of its own.

#include <sys/wait.h>
#include <unistd.h>

#include "show.h"

static void on_event(virConnectPtr conn, virDomainPtr dom, void* opaque) {
  (void)conn, (void)dom, (void)opaque;
}

static void wait_for(pid_t child) {
  int status = 0;
  if (waitpid(child, &status, 0) != child) {
    exit(1);
  }
  printf("child %s with %d\n", WIFEXITED(status) ? "exited" : "was killed", WEXITSTATUS(status));
  fflush(stdout);
}

static void open_in_child(const char* uri) {
  const pid_t child = fork();
  if (child == 0) {
    virConnectPtr conn = virConnectOpen(uri);
    virDomainPtr dom = virDomainLookupByName(conn, "vm0");
    SHOW_POINTER(dom);
    virDomainFree(dom);
    exit(virConnectClose(conn));
  }
  wait_for(child);
}

static int failed;
static int succeeded;

/// Counts a call that must fail, with an error that says why.
static void count(const char* call, int has_failed) {
  if (has_failed && strstr(virGetLastErrorMessage(), "fork()") != NULL) {
    ++failed;
  } else {
    ++succeeded;
    printf("%s: '%s'\n", call, virGetLastErrorMessage());
  }
}

#define COUNT(call) count(#call, (call) == -1)
#define COUNT_POINTER(call) count(#call, (call) == NULL)

static void try_everything(virConnectPtr conn, virDomainPtr dom, const char* uri) {
  char uuid[VIR_UUID_STRING_BUFLEN];
  unsigned long version = 0;
  virDomainBlockJobInfo info;
  COUNT(virInitialize());
  COUNT(virGetVersion(&version, NULL, NULL));
  COUNT_POINTER(virConnectOpen(uri));
  COUNT_POINTER(virConnectOpenReadOnly(uri));
  COUNT(virConnectRef(conn));
  COUNT_POINTER(virDomainLookupByName(conn, "vm0"));
  COUNT_POINTER(virDomainLookupByUUIDString(conn, "c7a5fdbd-edaf-9455-926a-d65c16db1809"));
  COUNT_POINTER(virDomainGetName(dom));
  count("virDomainGetID(dom)", virDomainGetID(dom) == (unsigned int)-1);
  COUNT(virDomainGetUUIDString(dom, uuid));
  COUNT_POINTER(virDomainGetXMLDesc(dom, 0));
  COUNT(virDomainRef(dom));
  COUNT(virDomainBlockPull(dom, "vda", 0, 0));
  COUNT(virDomainBlockRebase(dom, "vda", NULL, 0, 0));
  COUNT(virDomainGetBlockJobInfo(dom, "vda", &info, 0));
  COUNT(virDomainBlockJobSetSpeed(dom, "vda", 0, 0));
  COUNT(virDomainBlockJobAbort(dom, "vda", 0));
  COUNT(virEventRegisterDefaultImpl());
  COUNT(virEventRunDefaultImpl());
  COUNT(virConnectDomainEventRegisterAny(conn, NULL, 8, on_event, NULL, NULL));
  COUNT(virConnectDomainEventDeregisterAny(conn, 0));
  COUNT(virDomainFree(dom));
  COUNT(virConnectClose(conn));
}

int main(int argument_count, char** arguments) {
  if (argument_count != 2) {
    return 2;
  }
  const char* uri = arguments[1];
  virSetErrorFunc(NULL, count_error);
  SHOW(virInitialize());
  open_in_child(uri);
  virConnectPtr conn = virConnectOpen(uri);
  virDomainPtr dom = virDomainLookupByName(conn, "vm0");
  SHOW(virDomainBlockPull(dom, "vda", 262144, VIR_DOMAIN_BLOCK_PULL_BANDWIDTH_BYTES));
  const pid_t child = fork();
  if (child == 0) {
    try_everything(conn, dom, uri);
    printf("in the child %d failed and %d did not\n", failed, succeeded);
    exit(0);
  }
  wait_for(child);
  SHOW(virDomainBlockJobAbort(dom, "vda", 0));
  SHOW(virDomainFree(dom));
  SHOW(virConnectClose(conn));
  open_in_child(uri);
  return 0;
}
