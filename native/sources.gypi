{
  "variables": {
    "core_sources": [
      "native/core/base/bytes.cc",
      "native/core/base/error.cc",
      "native/core/image/qcow2/allocator.cc",
      "native/core/image/qcow2/header_edit.cc",
      "native/core/image/qcow2/link_writer.cc",
      "native/core/image/qcow2/refcounts.cc",
      "native/core/image/qcow2/references.cc",
      "native/core/io/blocking_pool.cc",
      "native/core/io/buffer_arena.cc",
      "native/core/io/lock.cc",
      "native/core/io/lock_holder.cc",
      "native/core/io/posix_file.cc",
      "native/core/io/thread_queue.cc",
      "native/core/io/transfer.cc",
      "native/core/io/uring_queue.cc"
    ],
    "job_sources": [
      "native/job/engine.cc",
      "native/job/job.cc",
      "native/job/rate_limiter.cc",
      "native/job/registry.cc"
    ],
    "driver_sources": [
      "native/driver/local_pull.cc",
      "native/driver/mover.cc",
      "native/driver/mover_write.cc",
      "native/driver/pull.cc",
      "native/driver/pull_metadata.cc",
      "native/driver/pull_planner.cc"
    ],
    "virt_sources": [
      "native/virt/base_name.cc",
      "native/virt/block_jobs.cc",
      "native/virt/checks.cc",
      "native/virt/connection.cc",
      "native/virt/described_store.cc",
      "native/virt/domain_store.cc",
      "native/virt/domain_xml.cc",
      "native/virt/error_map.cc",
      "native/virt/folder_store.cc",
      "native/virt/live_jobs.cc",
      "native/virt/monitor_socket.cc",
      "native/virt/uri.cc",
      "native/virt/uuid.cc",
      "native/virt/xml_file.cc",
      "native/virt/xml_rewrite.cc"
    ],
    "napi_sources": [],
    "native_test_sources": []
  }
}
