// SPDX-License-Identifier: Apache-2.0
//
// Domains that the connecting call describes, kept in memory, each with an XML text of its own.

#include <map>
#include <mutex>
#include <utility>

#include "core/base/text.h"
#include "virt/domains/domain_store.h"
#include "virt/domains/uuid.h"

namespace blockpull::virt {
namespace {

class DescribedStore final : public DomainStore {
 public:
  Result<void> add(const DomainDescription& description);

  Result<std::vector<ListedDomain>> list_all() override;
  Result<Domain> find_name(const std::string& name) override;
  Result<Domain> find_uuid(const std::string& uuid) override;
  Result<std::string> xml_of(const Domain& domain) override;
  Result<Domain> define(const std::string& xml) override;
  blockpull::Result<void> backing_changed(const std::string& name,
                                          const DiskBacking& disk) override;
  std::string monitor_path(const std::string& name) override;

 private:
  struct Entry {
    Domain domain;
    std::string xml;
    std::string qmp;
  };

  [[nodiscard]] Result<void> check_place(const Domain& domain) const;
  [[nodiscard]] std::optional<std::string> find_xml(const std::string& name);

  /// Guards entries_.
  std::mutex mutex_;
  std::map<std::string, Entry> entries_;
};

Failure bad_description(std::string detail) {
  return report(ErrorKind::kInvalidArgument, detail);
}

Result<void> DescribedStore::add(const DomainDescription& description) {
  if (!is_domain_name(description.name)) {
    return bad_description(text("name '", description.name,
                                "' is not a domain name; write up to 250 characters without '/'"));
  }
  Domain domain;
  domain.name = description.name;
  domain.uuid = uuid_of_name(description.name);
  if (description.uuid) {
    auto uuid = parse_uuid(*description.uuid);
    if (!uuid) {
      return bad_description(text("uuid '", *description.uuid, "' of domain '", description.name,
                                  "' is malformed; write 32 hex digits"));
    }
    domain.uuid = *std::move(uuid);
  }
  domain.disks = description.disks;
  for (const auto& [name, entry] : entries_) {
    if (name == domain.name || entry.domain.uuid == domain.uuid) {
      return bad_description(text("domain '", domain.name, "' and domain '", name,
                                  "' have the same name or uuid; describe each domain once"));
    }
  }
  std::string xml = format_domain_xml(domain);
  const std::string name = domain.name;
  entries_.emplace(name, Entry{std::move(domain), std::move(xml), description.qmp.value_or("")});
  return {};
}

Result<std::vector<ListedDomain>> DescribedStore::list_all() {
  const std::lock_guard lock(mutex_);
  std::vector<ListedDomain> domains;
  for (const auto& [name, entry] : entries_) {
    domains.push_back({entry.domain, std::nullopt});
  }
  return domains;
}

Result<Domain> DescribedStore::find_name(const std::string& name) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(name);
  if (found == entries_.end()) {
    return no_domain_named(name);
  }
  return found->second.domain;
}

Result<Domain> DescribedStore::find_uuid(const std::string& uuid) {
  const std::lock_guard lock(mutex_);
  for (const auto& [name, entry] : entries_) {
    if (entry.domain.uuid == uuid) {
      return entry.domain;
    }
  }
  return no_domain_with(uuid);
}

Result<std::string> DescribedStore::xml_of(const Domain& domain) {
  if (auto xml = find_xml(domain.name)) {
    return *std::move(xml);
  }
  return no_domain_named(domain.name);
}

Result<void> DescribedStore::check_place(const Domain& domain) const {
  for (const auto& [name, entry] : entries_) {
    BLOCKPULL_CHECK(check_redefinition(domain, entry.domain));
  }
  return {};
}

Result<Domain> DescribedStore::define(const std::string& xml) {
  BLOCKPULL_TRY(domain, parse_domain_xml(xml, "the given XML"));
  const std::lock_guard lock(mutex_);
  BLOCKPULL_CHECK(check_place(domain));
  Entry& entry = entries_[domain.name];
  entry.domain = domain;
  entry.xml = xml;
  return domain;
}

/// The lock is not held while the files that the XML names are checked, since storage may hang. If
/// the XML was redefined in that time, the rewrite starts over.
blockpull::Result<void> DescribedStore::backing_changed(const std::string& name,
                                                        const DiskBacking& disk) {
  for (;;) {
    const std::optional<std::string> seen = find_xml(name);
    if (!seen) {
      return {};
    }
    BLOCKPULL_TRY(rewritten, rewrite_backing_store(*seen, disk));
    if (!rewritten) {
      return {};
    }
    const std::lock_guard lock(mutex_);
    if (const auto found = entries_.find(name);
        found != entries_.end() && found->second.xml == *seen) {
      found->second.xml = *std::move(rewritten);
      return {};
    }
  }
}

std::optional<std::string> DescribedStore::find_xml(const std::string& name) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(name);
  return found == entries_.end() ? std::nullopt : std::optional(found->second.xml);
}

std::string DescribedStore::monitor_path(const std::string& name) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(name);
  return found == entries_.end() ? std::string() : found->second.qmp;
}

}  // namespace

Result<std::shared_ptr<DomainStore>> describe_domains(
    const std::vector<DomainDescription>& descriptions) {
  auto store = std::make_shared<DescribedStore>();
  for (const DomainDescription& description : descriptions) {
    BLOCKPULL_CHECK(store->add(description));
  }
  return std::shared_ptr<DomainStore>(std::move(store));
}

}  // namespace blockpull::virt
