{
  "variables": {
    "core_sources": [
      "native/core/base/bytes.cc",
      "native/core/base/error.cc",
      "native/core/io/blocking_pool.cc",
      "native/core/io/buffer_pool.cc",
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
    "driver_sources": [],
    "virt_sources": [],
    "napi_sources": [],
    "native_test_sources": []
  }
}
