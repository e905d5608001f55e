// SPDX-License-Identifier: Apache-2.0
//
// The domains of a folder: one for each XML file, and one for each monitor socket without an XML
// file. The stem of the file is the name of the domain, so a lookup by name reads one file. The
// parsed XML is cached under the file's inode, size and time of change, so a lookup by UUID costs a
// stat.
//
// A file that cannot be read or parsed fails the calls that need it. A list shows it with its
// error: it neither hides the others nor is silently missing. A lookup by the UUID that it is
// listed with gives that error too. A lookup by another UUID skips it.

#include <algorithm>
#include <cerrno>
#include <map>
#include <mutex>
#include <utility>

#include <dirent.h>
#include <sys/stat.h>

#include "core/base/text.h"
#include "virt/domains/domain_store.h"
#include "virt/domains/uuid.h"
#include "virt/domains/xml_file.h"

namespace blockpull::virt {
namespace {

constexpr std::string_view kSuffix = ".xml";
constexpr std::string_view kMonitorSuffix = ".qmp";

/// Distinguishes two states of a file.
struct FileStamp {
  ino_t inode = 0;
  off_t size = 0;
  time_t seconds = 0;
  long nanoseconds = 0;

  bool operator==(const FileStamp&) const = default;
};

std::optional<FileStamp> stamp_of(const std::string& path) {
  struct stat about {};

  if (::stat(path.c_str(), &about) != 0) {
    return std::nullopt;
  }
  return FileStamp{about.st_ino, about.st_size, about.st_mtim.tv_sec, about.st_mtim.tv_nsec};
}

/// Serializes rewrites, from whichever connections of this process they come. It is held during
/// file operations, and only by rewrites.
std::mutex& rewrite_mutex() {
  static std::mutex mutex;
  return mutex;
}

class FolderStore final : public DomainStore {
 public:
  explicit FolderStore(std::string root) : root_(std::move(root)) {}

  /// Stems of the XML files and of the monitor sockets, sorted.
  [[nodiscard]] Result<std::vector<std::string>> names() const;

  Result<std::vector<ListedDomain>> list_all() override;
  Result<Domain> find_name(const std::string& name) override;
  Result<Domain> find_uuid(const std::string& uuid) override;
  Result<std::string> xml_of(const Domain& domain) override;
  Result<Domain> define(const std::string& xml) override;
  blockpull::Result<void> backing_changed(const std::string& name,
                                          const DiskBacking& disk) override;

  std::string monitor_path(const std::string& name) override { return monitor_path_of(name); }

 private:
  struct Parsed {
    FileStamp stamp;
    Domain domain;
  };

  [[nodiscard]] std::string xml_path(const std::string& name) const {
    return text(root_, "/", name, kSuffix);
  }

  [[nodiscard]] std::string monitor_path_of(const std::string& name) const {
    return text(root_, "/", name, kMonitorSuffix);
  }

  [[nodiscard]] Result<Domain> load(const std::string& name);
  [[nodiscard]] Result<Domain> load_without_xml(const std::string& name) const;
  [[nodiscard]] std::optional<Domain> remembered(const std::string& name, const FileStamp& stamp);
  [[nodiscard]] std::vector<std::string> names_of(const std::string& uuid);
  [[nodiscard]] bool had(const std::string& name, const std::string& uuid);
  [[nodiscard]] Result<Domain> find_among(const std::vector<std::string>& names,
                                          const std::string& uuid);

  const std::string root_;
  /// Guards parsed_.
  std::mutex mutex_;
  std::map<std::string, Parsed> parsed_;
};

Result<std::vector<std::string>> FolderStore::names() const {
  DIR* const folder = ::opendir(root_.c_str());
  if (folder == nullptr) {
    return reported(system_error("opendir", errno, root_));
  }
  std::vector<std::string> names;
  while (const dirent* const entry = ::readdir(folder)) {
    const std::string_view file = entry->d_name;
    for (const std::string_view suffix : {kSuffix, kMonitorSuffix}) {
      if (file.size() > suffix.size() && file.ends_with(suffix) && !file.starts_with('.')) {
        names.emplace_back(file.substr(0, file.size() - suffix.size()));
      }
    }
  }
  ::closedir(folder);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

std::optional<Domain> FolderStore::remembered(const std::string& name, const FileStamp& stamp) {
  const std::lock_guard lock(mutex_);
  const auto found = parsed_.find(name);
  if (found == parsed_.end() || found->second.stamp != stamp) {
    return std::nullopt;
  }
  return found->second.domain;
}

bool FolderStore::had(const std::string& name, const std::string& uuid) {
  const std::lock_guard lock(mutex_);
  const auto found = parsed_.find(name);
  return found != parsed_.end() && found->second.domain.uuid == uuid;
}

/// The names of cached files with that UUID, whatever the files contain by now.
std::vector<std::string> FolderStore::names_of(const std::string& uuid) {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [name, parsed] : parsed_) {
    if (parsed.domain.uuid == uuid) {
      names.push_back(name);
    }
  }
  return names;
}

/// A monitor's socket is a domain too; its QEMU knows the disks.
Result<Domain> FolderStore::load_without_xml(const std::string& name) const {
  struct stat about {};

  if (::stat(monitor_path_of(name).c_str(), &about) != 0 || !S_ISSOCK(about.st_mode)) {
    return no_domain_named(name);
  }
  Domain domain;
  domain.name = name;
  domain.uuid = uuid_of_name(name);
  return domain;
}

Result<Domain> FolderStore::load(const std::string& name) {
  const std::string path = xml_path(name);
  const auto stamp = stamp_of(path);
  if (!stamp) {
    // A dangling symbolic link is an error: the XML exists somewhere, so the socket is not all
    // there is.
    struct stat about {};

    return ::lstat(path.c_str(), &about) == 0 ? reported(system_error("stat", ENOENT, path))
                                              : load_without_xml(name);
  }
  if (auto domain = remembered(name, *stamp)) {
    return *std::move(domain);
  }
  BLOCKPULL_TRY(xml, lifted(read_xml_file(path), &reported));
  BLOCKPULL_TRY(domain, parse_domain_xml(xml, text("'", path, "'")));
  if (domain.name != name) {
    return report(ErrorKind::kInvalidArgument, ErrorCode::kXmlError, ErrorDomain::kPublic,
                  text("name '", domain.name, "' in '", path,
                       "' differs from the name of its file; rename one of them"));
  }
  const std::lock_guard lock(mutex_);
  parsed_.insert_or_assign(name, Parsed{*stamp, domain});
  return domain;
}

Result<std::vector<ListedDomain>> FolderStore::list_all() {
  BLOCKPULL_TRY(all, names());
  std::vector<ListedDomain> listed;
  for (const std::string& name : all) {
    auto domain = load(name);
    if (domain.ok()) {
      listed.push_back({std::move(domain).value(), std::nullopt});
    } else if (domain.error().error.kind != ErrorKind::kNoDomain) {
      Domain unread;
      unread.name = name;
      unread.uuid = uuid_of_name(name);
      listed.push_back({std::move(unread), std::move(domain).error()});
    }
  }
  refuse_twins(listed);
  return listed;
}

Result<Domain> FolderStore::find_name(const std::string& name) {
  if (!is_domain_name(name)) {
    return no_domain_named(name);
  }
  return load(name);
}

Result<Domain> FolderStore::find_among(const std::vector<std::string>& names,
                                       const std::string& uuid) {
  std::optional<Domain> found;
  std::optional<Failure> unread;
  for (const std::string& name : names) {
    auto domain = load(name);
    if (!domain.ok()) {
      const bool is_gone = domain.error().error.kind == ErrorKind::kNoDomain;
      if (!is_gone && (uuid_of_name(name) == uuid || had(name, uuid))) {
        unread = std::move(domain).error();
      }
    } else if (domain->uuid == uuid) {
      if (found) {
        return twin_domains(*found, *domain);
      }
      found = std::move(domain).value();
    }
  }
  if (found) {
    return *std::move(found);
  }
  return unread ? *std::move(unread) : no_domain_with(uuid);
}

Result<Domain> FolderStore::find_uuid(const std::string& uuid) {
  if (auto known = find_among(names_of(uuid), uuid); known.ok()) {
    return known;
  }
  BLOCKPULL_TRY(all, names());
  return find_among(all, uuid);
}

Result<std::string> FolderStore::xml_of(const Domain& domain) {
  if (!stamp_of(xml_path(domain.name))) {
    return format_domain_xml(domain);
  }
  return lifted(read_xml_file(xml_path(domain.name)), &reported);
}

Result<Domain> FolderStore::define(const std::string& xml) {
  BLOCKPULL_TRY(domain, parse_domain_xml(xml, "the given XML"));
  const std::lock_guard lock(rewrite_mutex());
  if (const auto known = load(domain.name); known.ok()) {
    BLOCKPULL_CHECK(check_redefinition(domain, *known));
  }
  BLOCKPULL_TRY(listed, list_all());
  for (const ListedDomain& known : listed) {
    if (known.domain.uuid == domain.uuid) {
      BLOCKPULL_CHECK(check_redefinition(domain, known.domain));
    }
  }
  BLOCKPULL_CHECK(lifted(replace_xml_file(xml_path(domain.name), xml), &reported));
  return load(domain.name);
}

blockpull::Result<void> FolderStore::backing_changed(const std::string& name,
                                                     const DiskBacking& disk) {
  const std::lock_guard lock(rewrite_mutex());
  const std::string path = xml_path(name);
  if (!stamp_of(path)) {
    return {};
  }
  BLOCKPULL_TRY(xml, read_xml_file(path));
  BLOCKPULL_TRY(rewritten, rewrite_backing_store(xml, disk));
  return rewritten ? replace_xml_file(path, *rewritten) : blockpull::Result<void>();
}

}  // namespace

Result<std::shared_ptr<DomainStore>> open_folder(const std::string& root) {
  auto store = std::make_shared<FolderStore>(root);
  BLOCKPULL_CHECK(store->names());
  return std::shared_ptr<DomainStore>(std::move(store));
}

}  // namespace blockpull::virt
