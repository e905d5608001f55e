// SPDX-License-Identifier: Apache-2.0
//
// Whose chains have which files: what is not to be called released.
//
//     a domain that is shut off   its XML's disks, and the headers that they lead to
//     a domain that runs          what its QEMU has open
//     siblings                    the qcow2 images of a folder
//
// A chain that cannot be read may have any file in it, so it is remembered by whose it is.
//
// Thread rule: any thread. All but withhold() block for file operations.

#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/image/chain.h"
#include "driver/chain_file.h"
#include "driver/qemu/guest_view.h"
#include "virt/domains/domain_xml.h"

namespace blockpull::virt {

/// What an image no longer needs after its pull.
struct Unneeded {
  /// The image.
  driver::ChainFile top;
  /// Of its domain; empty for a bare image.
  std::string uuid;
  std::vector<driver::ChainFile> files;

  /// Finds what a guest's QEMU has named only.
  void look();
};

struct KnownChains {
  struct Known {
    /// Top first.
    std::vector<driver::ChainFile> files;
    /// Of the domain whose QEMU has it open; empty where nobody is known to.
    std::string uuid;
    /// QEMU has it open for no device: it may be what a pull has left there.
    bool is_loose = false;
  };

  /// A name that only the QEMU of that domain can follow.
  struct Relative {
    std::string uuid;
    std::string sentence;
  };

  std::vector<Known> chains;
  std::vector<Relative> relative;
  /// Whose chains could not be read, and why: "domain 'vm1': …".
  std::vector<std::string> unreadable;
};

/// The disks of a domain that is shut off; but not `except`, unless its path is empty.
void add_domain(const Domain& domain, const std::optional<std::vector<std::string>>& backing_paths,
                const driver::ChainFile& except, KnownChains& known);

/// What the QEMU of a domain has open.
void add_view(const Domain& domain, const driver::qemu::GuestView& view, KnownChains& known);

/// The qcow2 images in `folder` but the image itself and what it no longer needs.
void add_siblings(const std::string& folder, const image::ChainOptions& options,
                  const Unneeded& unneeded, KnownChains& known);

/// Whether the folders can be listed. kUnsupported when one holds too many files.
[[nodiscard]] blockpull::Result<void> check_siblings(const std::vector<std::string>& folders);

/// Of another disk of the same guest it is not known whether it has stood on its chain for long. A
/// stream of it may just have ended, and a power loss would take its header back. This makes the
/// headers of all other disks of that guest last. kIo.
[[nodiscard]] blockpull::Result<void> make_headers_durable(const KnownChains& known,
                                                           const Unneeded& unneeded);

/// Takes the files away that one of the chains has. Gives whose chains could not be read.
[[nodiscard]] std::vector<std::string> withhold(const KnownChains& known, Unneeded& unneeded);

}  // namespace blockpull::virt
