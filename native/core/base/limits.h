// SPDX-License-Identifier: Apache-2.0
//
// Caps that several files or the docs need; a cap of one file stands at its top, with its reason.
// Numbers that a file or a caller could make large are compared with their cap before anything is
// allocated or looped over.

#pragma once

#include <cstddef>
#include <cstdint>

namespace blockpull::limits {

inline constexpr std::uint64_t kKiB = 1024;
inline constexpr std::uint64_t kMiB = 1024 * kKiB;
inline constexpr std::uint64_t kGiB = 1024 * kMiB;

/// Layers in a chain. Chains of 200 are promised; a longer one is a mistake or an attack. Every
/// layer costs two file descriptors.
inline constexpr std::size_t kChainDepth = 256;

/// qcow2: what QEMU itself accepts (from the specification, "Header", and from QEMU's own limits).
inline constexpr std::uint64_t kL1TableBytes = 32 * kMiB;
inline constexpr std::uint64_t kRefcountTableBytes = 8 * kMiB;
inline constexpr std::uint32_t kSnapshots = 65536;
inline constexpr std::uint32_t kMinClusterBits = 9;
inline constexpr std::uint32_t kMaxClusterBits = 21;
inline constexpr std::uint32_t kBackingNameBytes = 1023;
inline constexpr std::uint32_t kBackingFormatBytes = 15;

/// Largest virtual size: QEMU counts bytes in a signed 64-bit number.
inline constexpr std::uint64_t kVirtualSize = (std::uint64_t{1} << 63U) - 1;

/// One slice of a table in memory, and the slices that a layer keeps. A thousand jobs on two layers
/// each stay under 130 MiB even if every slice is filled. A sequential walk reads each slice once.
inline constexpr std::size_t kTableSlice = 16 * kKiB;
inline constexpr std::size_t kSlicesPerLayer = 4;

/// Buffers of the whole process: enough to keep every disk that we have measured busy, and a small
/// part of a host's memory.
inline constexpr std::size_t kBufferBytes = 64 * kMiB;

/// One piece of work for the disks. Larger requests are not faster; smaller ones cost more calls.
inline constexpr std::size_t kPiece = 1 * kMiB;

/// Pieces that one job has in flight: 24 MiB, enough for 4.7 GiB/s at 5 ms of latency. It leaves
/// buffer space for other jobs.
inline constexpr std::size_t kPiecesInFlight = 24;

/// Bytes moved between two checkpoints: the most that a crash can leak and make us copy again.
inline constexpr std::uint64_t kCheckpoint = 64 * kMiB;

/// Threads that may block (open, fallocate, fdatasync, SEEK_DATA, inflate), for all jobs together.
inline constexpr std::size_t kBlockingThreads = 4;

/// libvirt: MiB/s values above LLONG_MAX >> 20 overflow.
inline constexpr std::uint64_t kBandwidthMiB = 8796093022207;

}  // namespace blockpull::limits
