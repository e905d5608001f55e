// SPDX-License-Identifier: Apache-2.0
//
// Which chains have which files, to decide what must not be reported as released.
//
//     a domain that is shut off   the disks in its XML, and the chains that their headers state
//     a domain that runs          the files that its QEMU has open
//     siblings                    the qcow2 images of a folder
//
// A chain that cannot be read may have any file in it, so its owner is remembered.
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

/// The files that an image no longer needs after its pull.
struct Unneeded {
  /// The pulled image.
  driver::ChainFile top;
  /// UUID of its domain; empty for a bare image.
  std::string uuid;
  std::vector<driver::ChainFile> files;

  /// Looks up the files that a guest's QEMU has only named.
  void look();
};

struct KnownChains {
  struct Known {
    /// Top first.
    std::vector<driver::ChainFile> files;
    /// UUID of the domain whose QEMU has it open; empty if no such domain is known.
    std::string uuid;
    /// QEMU has it open but no device uses it: a pull may have left it there.
    bool is_loose = false;
  };

  /// A name that only the QEMU of that domain can resolve.
  struct Relative {
    std::string uuid;
    std::string sentence;
  };

  std::vector<Known> chains;
  std::vector<Relative> relative;
  /// The owners of chains that could not be read, and why: "domain 'vm1': …".
  std::vector<std::string> unreadable;
};

/// Adds the disks of a domain that is shut off, except for `except`, unless its path is empty.
void add_domain(const Domain& domain, const std::optional<std::vector<std::string>>& backing_paths,
                const driver::ChainFile& except, KnownChains& known);

/// Adds what the QEMU of a domain has open.
void add_view(const Domain& domain, const driver::qemu::GuestView& view, KnownChains& known);

/// Adds the qcow2 images in `folder`, except for the image itself and what it no longer needs.
void add_siblings(const std::string& folder, const image::ChainOptions& options,
                  const Unneeded& unneeded, KnownChains& known);

/// Checks that the folders can be listed. kUnsupported if one holds too many files.
[[nodiscard]] blockpull::Result<void> check_siblings(const std::vector<std::string>& folders);

/// A stream on another disk of the same guest may just have ended, and a power loss could undo the
/// change of that disk's header. This makes the headers of all other disks of the guest durable.
/// kIo.
[[nodiscard]] blockpull::Result<void> make_headers_durable(const KnownChains& known,
                                                           const Unneeded& unneeded);

/// Removes the files that one of the chains has. Returns the owners of chains that could not be
/// read.
[[nodiscard]] std::vector<std::string> withhold(const KnownChains& known, Unneeded& unneeded);

}  // namespace blockpull::virt
