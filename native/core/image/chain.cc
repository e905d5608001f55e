// SPDX-License-Identifier: Apache-2.0
//
// Opens one layer at a time, from the top: open, lock, check again that the name still leads to
// that file, read the header, and get the next name from it. An error below the top names the
// overlay that states the layer.

#include "core/image/chain.h"

#include <algorithm>
#include <utility>

#include "core/base/limits.h"
#include "core/base/text.h"
#include "core/image/probe.h"
#include "core/image/qcow2/qcow2_image.h"
#include "core/image/raw/raw_image.h"

namespace blockpull::image {
namespace {

/// What is known about a layer before it is opened.
struct Wanted {
  std::string path;
  /// Absent for a top that is to be probed, and for a layer whose overlay states no format.
  std::optional<Format> format;
  /// The overlay that states it, or empty for the top.
  std::string overlay;
};

class Opener {
 public:
  explicit Opener(ChainOptions options)
      : options_(std::move(options)), formats_(options_.formats) {}

  Result<Chain> run(const std::vector<ListedLayer>& layers) {
    for (const ListedLayer& layer : layers) {
      const std::string overlay = chain_.layers.empty() ? "" : chain_.layers.back().path;
      const Wanted wanted{layer.path, layer.format, overlay};
      if (Result<void> added = add(wanted); !added.ok()) {
        return explain(std::move(added).error(), wanted);
      }
    }
    return std::move(chain_);
  }

  Result<Chain> run(const std::string& path) {
    Wanted wanted{path, options_.format, {}};
    for (;;) {
      if (Result<void> added = add(wanted); !added.ok()) {
        return explain(std::move(added).error(), wanted);
      }
      const Layer& overlay = chain_.layers.back();
      const std::optional<BackingReference>& backing = overlay.image->backing();
      if (!backing) {
        return std::move(chain_);
      }
      BLOCKPULL_TRY(next, below(overlay.path, *backing));
      wanted = std::move(next);
    }
  }

 private:
  Result<void> add(const Wanted& wanted) {
    const bool is_top = chain_.layers.empty();
    if (chain_.layers.size() == limits::kChainDepth) {
      return make_error(ErrorKind::kUnsupported,
                        text("chain is longer than ", limits::kChainDepth,
                             " layers, which is not supported; shorten it from its middle first"))
          .with_path(wanted.path);
    }
    if (!is_top && options_.backing_paths) {
      BLOCKPULL_CHECK(check_folder_policy(wanted.path, *options_.backing_paths));
    }
    const bool writes = is_top && options_.lock_for_pull;
    BLOCKPULL_TRY(file, io::PosixFile::open(
                            wanted.path, writes ? io::Access::kReadWrite : io::Access::kReadOnly));
    if (!is_top && options_.backing_paths) {
      // Checked again on the opened file: a link on the way may have changed since the first check.
      BLOCKPULL_CHECK(
          check_folder_policy(text("/proc/self/fd/", file->fd()), *options_.backing_paths));
    }
    BLOCKPULL_CHECK(refuse_loop(*file));
    if (options_.lock_for_pull) {
      BLOCKPULL_CHECK(lock(*file, is_top));
    } else if (options_.pull_refusals != nullptr) {
      tell_refusals(*file, wanted);
    }
    Layer layer;
    layer.path = wanted.path;
    layer.file = file.get();
    std::optional<Format> format = wanted.format;
    if (!format && !is_top) {
      BLOCKPULL_TRY(stated, formats_.format_of(*file));
      format = stated;
    }
    BLOCKPULL_TRY(image, read(std::move(file), format));
    layer.image = std::move(image);
    chain_.layers.push_back(std::move(layer));
    return {};
  }

  Result<void> refuse_loop(const io::PosixFile& file) const {
    const auto same =
        std::find_if(chain_.layers.begin(), chain_.layers.end(),
                     [&file](const Layer& layer) { return layer.file->id() == file.id(); });
    if (same == chain_.layers.end()) {
      return {};
    }
    return make_error(ErrorKind::kChainLoop, text("chain is a loop: '", file.path(),
                                                  "' is in it already, as '", same->path, "'"))
        .with_path(file.path());
  }

  static io::LockRole role(bool is_top) {
    return is_top ? io::LockRole::kWriter : io::LockRole::kBackingReader;
  }

  void tell_refusals(io::PosixFile& file, const Wanted& wanted) const {
    const bool is_top = chain_.layers.empty();
    if (auto writable = io::check_writable(wanted.path); is_top && !writable.ok()) {
      options_.pull_refusals->push_back(explain(std::move(writable).error(), wanted));
    }
    if (auto refusal = io::lock_refusal(file, role(is_top))) {
      options_.pull_refusals->push_back(explain(*std::move(refusal), wanted));
    }
  }

  static Result<void> lock(io::PosixFile& file, bool is_top) {
    BLOCKPULL_CHECK(io::lock_opened(file, role(is_top)));
    if (is_top) {
      file.forget_cached_pages();
    }
    return file.note_state();
  }

  static Result<std::unique_ptr<Image>> read(std::unique_ptr<io::File> file,
                                             std::optional<Format> format) {
    if (!format) {
      BLOCKPULL_TRY(probed, probe_format(*file));
      format = probed;
    }
    if (*format == Format::kRaw) {
      BLOCKPULL_TRY(raw, RawImage::open(std::move(file)));
      return std::unique_ptr<Image>(std::move(raw));
    }
    BLOCKPULL_CHECK(refuse_qed(*file));
    BLOCKPULL_TRY(qcow2, Qcow2Image::open(std::move(file)));
    return std::unique_ptr<Image>(std::move(qcow2));
  }

  /// The next layer, as the header of the layer at `overlay_path` states it.
  Result<Wanted> below(const std::string& overlay_path, const BackingReference& backing) const {
    BLOCKPULL_TRY(path, resolve_backing(overlay_path, backing.name));
    if (backing.format.empty()) {
      return Wanted{path, {}, overlay_path};
    }
    Result<Format> format = parse_format(backing.format);
    if (!format.ok()) {
      return explain(std::move(format).error(), {path, {}, overlay_path});
    }
    return Wanted{path, *format, overlay_path};
  }

  /// Adds to the error whose backing file it is about.
  static Error explain(Error error, const Wanted& wanted) {
    if (!wanted.overlay.empty()) {
      error.message =
          text("backing file '", wanted.path, "' of '", wanted.overlay, "': ", error.message);
    }
    return std::move(error).with_path(wanted.path);
  }

  const ChainOptions options_;
  LayerFormats formats_;
  Chain chain_;
};

}  // namespace

Result<void> Chain::check_walk() const {
  for (const Layer& layer : layers) {
    BLOCKPULL_CHECK(layer.image->check_walk());
  }
  return {};
}

Qcow2Image* Chain::active_qcow2() const {
  Image& image = active();
  // There is no RTTI; the format identifies the class.
  return image.format() == Format::kQcow2 ? static_cast<Qcow2Image*>(&image) : nullptr;
}

Result<Chain> open_listed(const std::vector<ListedLayer>& layers) {
  return Opener(ChainOptions{}).run(layers);
}

Result<Chain> open_chain(const std::string& path, const ChainOptions& options) {
  return Opener(options).run(path);
}

}  // namespace blockpull::image
