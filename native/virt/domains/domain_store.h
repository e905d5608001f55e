// SPDX-License-Identifier: Apache-2.0
//
// Where domains come from. Two kinds, one interface:
//
//     folder      DIR/<name>.xml and DIR/<name>.qmp, or either alone, read when asked: others write
//                 there too
//     described   given in the call that connects, kept in memory
//
// A name or UUID that nothing has is kNoDomain with libvirt's words.
//
// Thread rule: any thread. Calls of a folder block for file operations; no lock is held meanwhile
// but the one that keeps two rewrites of one file apart.

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

/// A domain; or, with a name and a UUID made of it alone, why it is none.
struct ListedDomain {
  Domain domain;
  std::optional<Failure> error;
};

/// A domain as a call finds it.
struct FoundDomain {
  Domain domain;
  DomainState state = DomainState::kShutoff;
  /// Of a list: why nothing more is known of it. Its state is kNoState then.
  std::optional<Failure> error = {};
  /// libvirt's id; -1 for a domain that does not run.
  int id = -1;
};

class DomainStore {
 public:
  virtual ~DomainStore() = default;

  /// Fails where there is nothing to list at all.
  [[nodiscard]] virtual Result<std::vector<ListedDomain>> list_all() = 0;
  /// For who must not miss one: fails with the first that is none.
  [[nodiscard]] Result<std::vector<Domain>> list();
  [[nodiscard]] virtual Result<Domain> find_name(const std::string& name) = 0;
  /// `uuid` in canonical form.
  [[nodiscard]] virtual Result<Domain> find_uuid(const std::string& uuid) = 0;

  /// The definition, byte for byte.
  [[nodiscard]] virtual Result<std::string> xml_of(const Domain& domain) = 0;

  /// Adds a domain, or replaces the one with its name and UUID.
  [[nodiscard]] virtual Result<Domain> define(const std::string& xml) = 0;

  /// Brings a stated <backingStore> in step after a pull.
  [[nodiscard]] virtual blockpull::Result<void> backing_changed(const std::string& name,
                                                                const DiskBacking& disk) = 0;

  /// Where the domain's monitor would be; empty when it has none.
  [[nodiscard]] virtual std::string monitor_path(const std::string& name) = 0;
};

/// `root` is an existing folder.
[[nodiscard]] Result<std::shared_ptr<DomainStore>> open_folder(const std::string& root);

[[nodiscard]] Result<std::shared_ptr<DomainStore>> describe_domains(
    const std::vector<DomainDescription>& descriptions);

/// Two that have one UUID are both in error, as a call by UUID would be for either.
[[nodiscard]] Failure twin_domains(const Domain& one, const Domain& other);
void refuse_twins(std::vector<ListedDomain>& listed);

/// What both kinds say. kNoDomain, code 42.
[[nodiscard]] Failure no_domain_named(std::string_view name);
[[nodiscard]] Failure no_domain_with(std::string_view uuid);

/// What both kinds ask before `defined` takes its place: a name and a UUID belong together.
/// `known` is the domain that has the name or the UUID already.
[[nodiscard]] Result<void> check_redefinition(const Domain& defined, const Domain& known);

}  // namespace blockpull::virt
