// SPDX-License-Identifier: Apache-2.0
//
// Four threads start and abort jobs on one connection, each on a domain of its own, and open and
// close further ones meanwhile; the main thread runs the event loop until it has heard of every
// end: argument URI, with the domains vm0 to vm3.

#include <pthread.h>

#include <stdatomic.h>

#include "show.h"

enum { kThreads = 4, kRounds = 20 };

static const char* uri;
static virConnectPtr shared;
static int heard;
static atomic_int problems;

static void expect(int holds, const char* what) {
  if (!holds) {
    ++problems;
    printf("%s: %s\n", what, virGetLastErrorMessage());
  }
}

static void on_block_job(virConnectPtr conn, virDomainPtr dom, const char* disk, int type,
                         int status, void* opaque) {
  (void)dom, (void)type, (void)opaque;
  expect(conn == shared && strcmp(disk, "vda") == 0 && status == VIR_DOMAIN_BLOCK_JOB_CANCELED,
         "event");
  ++heard;
}

static void* work(void* place) {
  char name[16];
  char wrong[32];
  snprintf(name, sizeof name, "vm%d", *(int*)place);
  snprintf(wrong, sizeof wrong, "disk of %s", name);
  virDomainPtr dom = virDomainLookupByName(shared, name);
  for (int round = 0; round < kRounds; ++round) {
    virDomainBlockJobInfo info;
    virConnectPtr own = virConnectOpen(uri);
    virDomainPtr same = virDomainLookupByName(own, name);
    expect(virDomainBlockPull(dom, "vda", 1024, VIR_DOMAIN_BLOCK_PULL_BANDWIDTH_BYTES) == 0,
           "pull");
    expect(virDomainGetBlockJobInfo(same, "vda", &info, 0) == 1, "info");
    expect(virDomainBlockPull(dom, wrong, 0, 0) == -1, "wrong disk");
    expect(virDomainBlockJobSetSpeed(same, "vda", 2048, 1) == 0, "speed");
    virDomainBlockPull(dom, wrong, 0, 0);
    expect(strstr(virGetLastErrorMessage(), wrong) != NULL, "error of another thread");
    virDomainFree(same);
    expect(virConnectClose(own) == 0, "close");
    expect(virDomainBlockJobAbort(dom, "vda", 0) == 0, "abort");
  }
  virDomainFree(dom);
  return NULL;
}

int main(int count, char** arguments) {
  if (count != 2) {
    return 2;
  }
  uri = arguments[1];
  virSetErrorFunc(NULL, count_error);
  virEventRegisterDefaultImpl();
  shared = virConnectOpen(uri);
  const int id =
      virConnectDomainEventRegisterAny(shared, NULL, VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2,
                                       VIR_DOMAIN_EVENT_CALLBACK(on_block_job), NULL, NULL);
  pthread_t threads[kThreads];
  int places[kThreads];
  for (int i = 0; i < kThreads; ++i) {
    places[i] = i;
    if (pthread_create(&threads[i], NULL, work, &places[i]) != 0) {
      return 1;
    }
  }
  while (heard < kThreads * kRounds && problems == 0 && virEventRunDefaultImpl() == 0) {
  }
  for (int i = 0; i < kThreads; ++i) {
    pthread_join(threads[i], NULL);
  }
  virConnectDomainEventDeregisterAny(shared, id);
  printf("%d events, %d problems, close %d\n", heard, problems, virConnectClose(shared));
  return 0;
}
