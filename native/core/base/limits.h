// SPDX-License-Identifier: Apache-2.0
//
// Caps that several files or the docs need; a cap of one file stands at its top, with its reason. A
// number that a file or a caller could make large is compared with its cap before anything is
// allocated or looped over.

#pragma once

#include <cstddef>
#include <cstdint>

namespace blockpull::limits {

inline constexpr std::uint64_t kKiB = 1024;
inline constexpr std::uint64_t kMiB = 1024 * kKiB;
inline constexpr std::uint64_t kGiB = 1024 * kMiB;

/// Layers in a chain. Chains of 200 are promised; a longer one is a mistake or an attack, and every
/// layer costs two file descriptors.
inline constexpr std::size_t kChainDepth = 256;

/// qcow2: what QEMU itself accepts (specification, "Header"; the rest are QEMU's own bounds).
inline constexpr std::uint64_t kL1TableBytes = 32 * kMiB;
inline constexpr std::uint64_t kRefcountTableBytes = 8 * kMiB;
inline constexpr std::uint32_t kSnapshots = 65536;
inline constexpr std::uint32_t kMinClusterBits = 9;
inline constexpr std::uint32_t kMaxClusterBits = 21;
inline constexpr std::uint32_t kBackingNameBytes = 1023;
inline constexpr std::uint32_t kBackingFormatBytes = 15;

/// Largest virtual size: QEMU counts bytes in a signed 64-bit number.
inline constexpr std::uint64_t kVirtualSize = (std::uint64_t{1} << 63U) - 1;

/// One slice of a table in memory, and how many of them a layer keeps: a thousand jobs on two
/// layers each stay under 130 MiB even if every slice is filled, and a sequential walk reads each
/// slice once.
inline constexpr std::size_t kTableSlice = 16 * kKiB;
inline constexpr std::size_t kSlicesPerLayer = 4;

/// Buffers of the whole process: enough for every disk that we have met to be busy, and a small
/// part of a host's memory.
inline constexpr std::size_t kBufferBytes = 64 * kMiB;

/// One piece of work for the disks. Larger requests do not get faster; smaller ones cost more
/// calls.
inline constexpr std::size_t kPiece = 1 * kMiB;

/// Pieces that one job has in flight: 24 MiB, which are 4.7 GiB/s at 5 ms of latency, and leave
/// room in the buffers for others.
inline constexpr std::size_t kPiecesInFlight = 24;

/// Bytes moved between two checkpoints: what a crash can make us copy again, and what it can leak.
inline constexpr std::uint64_t kCheckpoint = 64 * kMiB;

/// Threads that may block (open, fallocate, fdatasync, SEEK_DATA, inflate), for all jobs together.
inline constexpr std::size_t kBlockingThreads = 4;

/// libvirt: MiB/s values above LLONG_MAX >> 20 overflow.
inline constexpr std::uint64_t kBandwidthMiB = 8796093022207;

}  // namespace blockpull::limits
