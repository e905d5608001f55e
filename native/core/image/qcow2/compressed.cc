// SPDX-License-Identifier: Apache-2.0
//
// zstd is decoded frame by frame with the one-shot decoder, directly into the cluster. The
// streaming decoder would allocate the window that the frame asks for, up to 128 MiB. Each frame
// takes a few bytes of input, so even a cluster full of empty frames ends.

#include "core/image/qcow2/compressed.h"

#include <memory>

#include <libdeflate.h>
#include <zstd.h>

#include "core/base/text.h"
#include "core/image/qcow2/inflate_prefix.h"

namespace blockpull::image::qcow2 {
namespace {

Error corrupt(const std::string& why) {
  return make_error(ErrorKind::kImageCorrupt, text("compressed cluster is damaged: ", why));
}

Error no_memory(const char* what) {
  return make_error(ErrorKind::kIo, text("not enough memory for the ", what, " decoder"));
}

struct FreeDeflate {
  void operator()(libdeflate_decompressor* each) const { libdeflate_free_decompressor(each); }
};

struct FreeZstd {
  void operator()(ZSTD_DCtx* each) const { ZSTD_freeDCtx(each); }
};

enum class End : std::uint8_t { kAnywhere, kWithCluster };

Result<std::size_t> inflate_deflate(std::span<const std::byte> compressed,
                                    std::span<std::byte> into, End end) {
  const std::unique_ptr<libdeflate_decompressor, FreeDeflate> decoder(
      libdeflate_alloc_decompressor());
  if (decoder == nullptr) {
    return no_memory("deflate");
  }
  std::size_t taken = 0;
  switch (libdeflate_deflate_decompress_ex(decoder.get(), compressed.data(), compressed.size(),
                                           into.data(), into.size(), &taken, nullptr)) {
    case LIBDEFLATE_SUCCESS:
      return taken;
    case LIBDEFLATE_SHORT_OUTPUT:
      return corrupt("its deflate stream is shorter than the cluster");
    default:
      break;
  }
  // The stream is invalid, or longer than the cluster; its beginning may still fill the cluster.
  if (end == End::kAnywhere && inflate_prefix(compressed, into)) {
    return compressed.size();
  }
  return corrupt("its deflate stream is invalid");
}

Result<std::size_t> inflate_zstd(std::span<const std::byte> compressed, std::span<std::byte> into) {
  const std::unique_ptr<ZSTD_DCtx, FreeZstd> decoder(ZSTD_createDCtx());
  if (decoder == nullptr) {
    return no_memory("zstd");
  }
  const std::size_t given = compressed.size();
  while (!into.empty()) {
    const std::size_t frame = ZSTD_findFrameCompressedSize(compressed.data(), compressed.size());
    if (ZSTD_isError(frame) != 0) {
      return corrupt(text("its zstd frame is invalid: ", ZSTD_getErrorName(frame)));
    }
    const std::size_t got =
        ZSTD_decompressDCtx(decoder.get(), into.data(), into.size(), compressed.data(), frame);
    if (ZSTD_isError(got) != 0) {
      return corrupt(text("its zstd frame is invalid: ", ZSTD_getErrorName(got)));
    }
    compressed = compressed.subspan(frame);
    into = into.subspan(got);
  }
  return given - compressed.size();
}

}  // namespace

Result<std::size_t> inflate_cluster(CompressionType type, std::span<const std::byte> compressed,
                                    std::span<std::byte> into) {
  return type == CompressionType::kZstd ? inflate_zstd(compressed, into)
                                        : inflate_deflate(compressed, into, End::kAnywhere);
}

Result<std::size_t> inflate_exactly(CompressionType type, std::span<const std::byte> compressed,
                                    std::span<std::byte> into) {
  return type == CompressionType::kZstd ? inflate_zstd(compressed, into)
                                        : inflate_deflate(compressed, into, End::kWithCluster);
}

}  // namespace blockpull::image::qcow2
