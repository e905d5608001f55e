# SPDX-License-Identifier: Apache-2.0
#
# Debian's Python module over our library: argument URI. It is linked so that every symbol it knows must be there
# when it is imported.

import sys

import libvirt

ended = []


def on_block_job(conn, dom, disk, job, status, opaque):
    ended.append((opaque, dom.name(), disk.rsplit("/", 1)[-1], job, status))


libvirt.registerErrorHandler(lambda context, error: None, None)
libvirt.virEventRegisterDefaultImpl()
connection = libvirt.open(sys.argv[1])
domain = connection.lookupByName("vm0")
for event, name in ((libvirt.VIR_DOMAIN_EVENT_ID_BLOCK_JOB, "8"), (libvirt.VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2, "16")):
    connection.domainEventRegisterAny(domain, event, on_block_job, name)
print(libvirt.getVersion(), domain.name(), domain.ID(), len(domain.UUIDString()))
print(domain.blockPull("vda", 262144, libvirt.VIR_DOMAIN_BLOCK_PULL_BANDWIDTH_BYTES))
info = domain.blockJobInfo("vda", libvirt.VIR_DOMAIN_BLOCK_JOB_INFO_BANDWIDTH_BYTES)
print(info["type"], info["bandwidth"], info["end"])
try:
    domain.blockPull("vda", 0)
except libvirt.libvirtError as error:
    print(error.get_error_code(), error.get_error_domain(), error.get_error_message())
print(domain.blockJobSetSpeed("vda", 0))
while len(ended) < 2:
    libvirt.virEventRunDefaultImpl()
print(*ended)
print(domain.blockJobInfo("vda"))
try:
    domain.suspend()
except libvirt.libvirtError as error:
    print(error.get_error_code(), error.get_error_domain(), error.get_error_message())
