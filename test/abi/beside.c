// SPDX-License-Identifier: Apache-2.0
//
// Calls of libvirt-qemu.so.0 and libvirt-lxc.so.0. Arguments: the URI, the name of a domain, and 'enter' to make
// those calls too that libvirt carries out without asking a driver.

#include "show.h"

#include <libvirt/libvirt-lxc.h>
#include <libvirt/libvirt-qemu.h>

static void on_event(virConnectPtr conn, virDomainPtr dom, const char* event, long long seconds,
                     unsigned int micros, const char* details, void* opaque) {
  (void)conn, (void)dom, (void)event, (void)seconds, (void)micros, (void)details, (void)opaque;
}

int main(int count, char** arguments) {
  virSetErrorFunc(NULL, count_error);
  virConnectPtr conn = virConnectOpen(arguments[1]);
  virDomainPtr dom = virDomainLookupByName(conn, arguments[2]);
  char* answer = NULL;
  int* descriptors = NULL;
  show_call("virDomainQemuMonitorCommand", virDomainQemuMonitorCommand(dom, "{}", &answer, 0));
  unsigned int files = 0;
  show_call("virDomainQemuMonitorCommandWithFiles",
            virDomainQemuMonitorCommandWithFiles(dom, "{}", 0, NULL, &files, NULL, &answer, 0));
  show_call("virDomainQemuAttach", (long)virDomainQemuAttach(conn, 1, 0));
  show_call("virDomainQemuAgentCommand", (long)virDomainQemuAgentCommand(dom, "{}", 1, 0));
  show_call("virConnectDomainQemuMonitorEventRegister",
            virConnectDomainQemuMonitorEventRegister(conn, dom, "STOP", on_event, NULL, NULL, 0));
  show_call("virConnectDomainQemuMonitorEventDeregister",
            virConnectDomainQemuMonitorEventDeregister(conn, 1));
  show_call("virDomainLxcOpenNamespace", virDomainLxcOpenNamespace(dom, &descriptors, 0));
  if (count > 3 && strcmp(arguments[3], "enter") == 0) {
    show_call("virDomainLxcEnterNamespace", virDomainLxcEnterNamespace(dom, 0, NULL, NULL, NULL, 0));
    show_call("virDomainLxcEnterSecurityLabel", virDomainLxcEnterSecurityLabel(NULL, NULL, NULL, 0));
    show_call("virDomainLxcEnterCGroup", virDomainLxcEnterCGroup(dom, 0));
  }
  virDomainFree(dom);
  return virConnectClose(conn);
}
