// SPDX-License-Identifier: Apache-2.0

#include "virt/chains/known_chains.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

#include "core/base/text.h"
#include "core/image/probe.h"

namespace blockpull::virt {
namespace {

/// The most files that a folder of siblings may hold. Each is opened at the end of a pull; a
/// thousand take some tenths of a second.
constexpr std::size_t kSiblings = 10000;

bool has_file(const std::vector<driver::ChainFile>& files, const driver::ChainFile& file) {
  return std::any_of(files.begin(), files.end(), [&file](const driver::ChainFile& other) {
    return driver::is_same_file(other, file);
  });
}

blockpull::Result<bool> is_qcow2(io::PosixFile& file) {
  std::array<std::byte, 4> first{};
  BLOCKPULL_CHECK(file.read_at(0, first));
  return image::magic_of(first) == image::Magic::kQcow2;
}

/// The chain of a disk that is shut off. A raw disk is one file. QEMU takes a disk without a stated
/// format for raw, but it may have been meant as qcow2.
blockpull::Result<std::vector<driver::ChainFile>> chain_of(
    const Disk& disk, const std::optional<std::vector<std::string>>& backing_paths) {
  image::ChainOptions options;
  options.backing_paths = backing_paths;
  options.formats.by_domain = disk.backing_formats;
  if (!disk.format.empty()) {
    BLOCKPULL_TRY(format, image::parse_format(disk.format));
    options.format = format;
  } else if (disk.type == "file") {
    BLOCKPULL_TRY(file, io::PosixFile::open(disk.source, io::Access::kReadOnly));
    BLOCKPULL_TRY(qcow2, is_qcow2(*file));
    options.format = qcow2 ? image::Format::kQcow2 : image::Format::kRaw;
  }
  if (options.format.value_or(image::Format::kRaw) == image::Format::kRaw) {
    return std::vector{driver::own_file(disk.source)};
  }
  BLOCKPULL_TRY(chain, image::open_chain(disk.source, options));
  return driver::files_of(chain);
}

/// "nbd://host/export": not a file of this host.
bool is_remote(std::string_view name) {
  const std::size_t colon = name.find(':');
  return colon != std::string_view::npos && !name.starts_with("json:") &&
         name.substr(0, colon).find('/') == std::string_view::npos;
}

/// Whether a guest's device uses that node; the disk then has the device's name.
bool has_device(const driver::qemu::BlockGraph& graph, std::size_t node) {
  return graph.disk_name(node) != graph.nodes()[node].name;
}

std::string owner(const Domain& domain) {
  return text("domain '", domain.name, "'");
}

/// The regular files of a folder.
blockpull::Result<std::vector<std::string>> list_files(const std::string& folder) {
  std::error_code failure;
  std::vector<std::string> paths;
  std::size_t count = 0;
  for (std::filesystem::directory_iterator entry(folder, failure), end; !failure && entry != end;
       entry.increment(failure)) {
    if (++count > kSiblings) {
      return make_error(ErrorKind::kUnsupported,
                        text("folder '", folder, "' holds more than ", kSiblings,
                             " files, too many to look for siblings; name a smaller one"))
          .with_path(folder);
    }
    std::error_code gone;
    if (entry->is_regular_file(gone)) {
      paths.push_back(entry->path().string());
    }
  }
  if (failure) {
    return system_error("opendir", failure.value(), folder);
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

/// Empty for a file that is not a qcow2 image, and for a sibling that does not count.
blockpull::Result<std::vector<driver::ChainFile>> sibling_chain(const std::string& path,
                                                                const image::ChainOptions& options,
                                                                const Unneeded& unneeded) {
  {
    auto file = io::PosixFile::open(path, io::Access::kReadOnly);
    if (!file.ok() && file.error().kind == ErrorKind::kNotFound) {
      return std::vector<driver::ChainFile>();
    }
    BLOCKPULL_TRY(opened, std::move(file));
    const driver::ChainFile sibling{path, opened->id()};
    BLOCKPULL_TRY(qcow2, is_qcow2(*opened));
    if (!qcow2 || driver::is_same_file(sibling, unneeded.top) ||
        has_file(unneeded.files, sibling)) {
      return std::vector<driver::ChainFile>();
    }
  }
  BLOCKPULL_TRY(chain, image::open_chain(path, options));
  return driver::files_of(chain);
}

}  // namespace

void Unneeded::look() {
  driver::find_by_name(files);
  if (!top.id) {
    top = driver::guest_file(std::move(top.path));
  }
}

void add_domain(const Domain& domain, const std::optional<std::vector<std::string>>& backing_paths,
                const driver::ChainFile& except, KnownChains& known) {
  for (const Disk& disk : domain.disks) {
    const bool is_local = disk.type == "file" || disk.type == "block";
    if (!is_local || disk.source.empty() ||
        driver::is_same_file(driver::own_file(disk.source), except)) {
      continue;
    }
    auto files = chain_of(disk, backing_paths);
    if (files.ok()) {
      known.chains.push_back({std::move(files).value(), {}, false});
    } else {
      known.unreadable.push_back(
          text("disk '", disk.target, "' of ", owner(domain), ": ", files.error().message));
    }
  }
}

void add_view(const Domain& domain, const driver::qemu::GuestView& view, KnownChains& known) {
  const auto& nodes = view.graph.nodes();
  for (std::size_t top = 0; top < nodes.size(); ++top) {
    if (nodes[top].is_backing && !has_device(view.graph, top)) {
      continue;
    }
    KnownChains::Known chain;
    chain.uuid = domain.uuid;
    chain.is_loose = !has_device(view.graph, top);
    for (const std::size_t node : view.graph.chain_from(top)) {
      const std::string& name = nodes[node].filename;
      if (name.empty() || is_remote(name)) {
        continue;
      }
      if (const auto& seen = nodes[node].seen; seen && seen->is_qemus) {
        chain.files.push_back({seen->path, seen->id});
        continue;
      }
      if (!name.starts_with('/')) {
        known.relative.push_back(
            {domain.uuid,
             text(
                 owner(domain), ": its QEMU has '", name,
                 "' open, a relative name that only that QEMU can resolve; use an absolute name")});
      }
      chain.files.push_back(driver::guest_file(name));
    }
    known.chains.push_back(std::move(chain));
  }
}

void add_siblings(const std::string& folder, const image::ChainOptions& options,
                  const Unneeded& unneeded, KnownChains& known) {
  const auto paths = list_files(folder);
  if (!paths.ok()) {
    known.unreadable.push_back(text("siblings: ", paths.error().message));
    return;
  }
  for (const std::string& path : *paths) {
    auto files = sibling_chain(path, options, unneeded);
    if (files.ok()) {
      known.chains.push_back({std::move(files).value(), {}, false});
    } else {
      known.unreadable.push_back(text("sibling '", path, "': ", files.error().message));
    }
  }
}

blockpull::Result<void> check_siblings(const std::vector<std::string>& folders) {
  for (const std::string& folder : folders) {
    BLOCKPULL_CHECK(list_files(folder));
  }
  return {};
}

blockpull::Result<void> make_headers_durable(const KnownChains& known, const Unneeded& unneeded) {
  for (const KnownChains::Known& chain : known.chains) {
    const bool is_of_guest = !unneeded.uuid.empty() && chain.uuid == unneeded.uuid;
    if (is_of_guest && !chain.files.empty() &&
        !driver::is_same_file(chain.files.front(), unneeded.top)) {
      BLOCKPULL_CHECK(driver::make_durable(chain.files.front()));
    }
  }
  return {};
}

std::vector<std::string> withhold(const KnownChains& known, Unneeded& unneeded) {
  const std::vector<driver::ChainFile> files = unneeded.files;
  for (const KnownChains::Known& chain : known.chains) {
    // The pulled layers may stay open in the guest's own QEMU, where no device uses them.
    const bool is_left = chain.is_loose && chain.uuid == unneeded.uuid && !chain.files.empty() &&
                         has_file(files, chain.files.front());
    if (is_left) {
      continue;
    }
    for (const driver::ChainFile& file : chain.files) {
      if (driver::is_same_file(file, unneeded.top)) {
        break;  // Below it is the image's own chain, which the pull has changed.
      }
      std::erase_if(unneeded.files, [&file](const driver::ChainFile& other) {
        return driver::may_be_same_file(other, file);
      });
    }
  }
  std::vector<std::string> unreadable = known.unreadable;
  for (const KnownChains::Relative& relative : known.relative) {
    if (relative.uuid != unneeded.uuid) {
      unreadable.push_back(relative.sentence);
    }
  }
  return unreadable;
}

}  // namespace blockpull::virt
