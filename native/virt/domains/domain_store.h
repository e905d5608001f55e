// SPDX-License-Identifier: Apache-2.0
//
// Where domains come from. Two kinds, one interface:
//
//     folder      DIR/<name>.xml and DIR/<name>.qmp, or either alone; read at each call, since
//                 others write there too
//     described   given in the call that connects, kept in memory
//
// A name or UUID that no domain has is kNoDomain with libvirt's words.
//
// Thread rule: any thread. Calls on a folder block for file operations. Only one lock is held
// during them, the one that serializes rewrites of XML files.

#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "virt/domains/domain_xml.h"
#include "virt/domains/xml_rewrite.h"

namespace blockpull::virt {

struct DomainDescription {
  std::string name;
  std::optional<std::string> uuid;
  /// Path of the monitor's socket.
  std::optional<std::string> qmp;
  std::vector<Disk> disks;
};

/// A domain; or, if it cannot be read, an error and a Domain with only a name and the UUID made of
/// it.
struct ListedDomain {
  Domain domain;
  std::optional<Failure> error;
};

/// A domain as a call finds it.
struct FoundDomain {
  Domain domain;
  DomainState state = DomainState::kShutoff;
  /// Only in a list: why nothing more is known of the domain. Its state is then kNoState.
  std::optional<Failure> error = {};
  /// libvirt's id; -1 for a domain that does not run.
  int id = -1;
};

class DomainStore {
 public:
  virtual ~DomainStore() = default;

  /// Fails only if nothing can be listed at all.
  [[nodiscard]] virtual Result<std::vector<ListedDomain>> list_all() = 0;
  /// For callers that must not miss a domain: fails with the first error in the list.
  [[nodiscard]] Result<std::vector<Domain>> list();
  [[nodiscard]] virtual Result<Domain> find_name(const std::string& name) = 0;
  /// `uuid` in canonical form.
  [[nodiscard]] virtual Result<Domain> find_uuid(const std::string& uuid) = 0;

  /// The definition, byte for byte.
  [[nodiscard]] virtual Result<std::string> xml_of(const Domain& domain) = 0;

  /// Adds a domain, or replaces the one with its name and UUID.
  [[nodiscard]] virtual Result<Domain> define(const std::string& xml) = 0;

  /// Updates a stated <backingStore> after a pull.
  [[nodiscard]] virtual blockpull::Result<void> backing_changed(const std::string& name,
                                                                const DiskBacking& disk) = 0;

  /// Where the domain's monitor would be; empty if it has none.
  [[nodiscard]] virtual std::string monitor_path(const std::string& name) = 0;
};

/// `root` is an existing folder.
[[nodiscard]] Result<std::shared_ptr<DomainStore>> open_folder(const std::string& root);

[[nodiscard]] Result<std::shared_ptr<DomainStore>> describe_domains(
    const std::vector<DomainDescription>& descriptions);

/// If two domains have one UUID, both are in error, as a call by UUID would be for either.
[[nodiscard]] Failure twin_domains(const Domain& one, const Domain& other);
void refuse_twins(std::vector<ListedDomain>& listed);

/// The same answer for both kinds of stores. kNoDomain, code 42.
[[nodiscard]] Failure no_domain_named(std::string_view name);
[[nodiscard]] Failure no_domain_with(std::string_view uuid);

/// Both kinds check this before `defined` replaces a domain: a name and a UUID belong together.
/// `known` is the domain that already has the name or the UUID.
[[nodiscard]] Result<void> check_redefinition(const Domain& defined, const Domain& known);

}  // namespace blockpull::virt
