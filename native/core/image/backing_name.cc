// SPDX-License-Identifier: Apache-2.0

#include "core/image/backing_name.h"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string_view>

#include <stdlib.h>

#include "core/base/text.h"
#include "core/io/folder.h"
#include "core/io/posix_file.h"

namespace blockpull::image {
namespace {

struct FreeMemory {
  void operator()(char* memory) const { ::free(memory); }
};

Result<std::string> real_path(const std::string& path) {
  const std::unique_ptr<char, FreeMemory> real(::realpath(path.c_str(), nullptr));
  if (real == nullptr) {
    return system_error("realpath", errno, path);
  }
  return std::string(real.get());
}

bool is_absolute(std::string_view name) {
  return name.starts_with('/');
}

Result<std::string> real_folder(const std::string& path) {
  const std::string_view folder = io::folder_part(path);
  return real_path(folder.empty() ? "." : std::string(folder));
}

bool is_inside(std::string_view path, std::string_view folder) {
  return folder == "/" || (path.starts_with(folder) && path.substr(folder.size()).starts_with('/'));
}

/// The relative path from one folder to another, both absolute and without links; empty, or ends in
/// a slash.
std::string way_between(std::string_view from, std::string_view to) {
  std::string way;
  while (!is_inside(to, from) && to != from) {
    way += "../";
    from = from.substr(0, std::max<std::size_t>(from.rfind('/'), 1));
  }
  std::string_view rest = to.substr(from.size());
  if (rest.starts_with('/')) {
    rest.remove_prefix(1);
  }
  if (!rest.empty()) {
    way += text(rest, "/");
  }
  return way;
}

std::string inside(std::string_view folder, std::string_view file) {
  return text(folder == "/" ? "" : folder, "/", file);
}

}  // namespace

bool has_protocol(std::string_view name) {
  const std::size_t mark = name.find_first_of(":/");
  return mark != std::string_view::npos && name[mark] == ':';
}

Result<std::string> resolve_backing(const std::string& overlay_path, const std::string& name) {
  if (has_protocol(name)) {
    return make_error(
               ErrorKind::kPolicy,
               text("backing file '", name, "' of '", overlay_path,
                    "' is named by a protocol, which is not supported; only file names are, with "
                    "'./' before one that has a colon"))
        .with_path(overlay_path);
  }
  return is_absolute(name) ? name : text(io::folder_part(overlay_path), name);
}

Result<std::string> backing_name_for(const std::vector<std::string>& image_paths,
                                     const std::string& target_path,
                                     const std::vector<std::string>& stated) {
  BLOCKPULL_TRY(target, io::identify(target_path));
  BLOCKPULL_TRY(target_folder, real_folder(target_path));
  const std::string_view file =
      std::string_view(target_path).substr(io::folder_part(target_path).size());
  if (std::any_of(stated.begin(), stated.end(), is_absolute)) {
    const std::string& last = stated.back();
    return is_absolute(last) && io::leads_to(last, target) ? last : inside(target_folder, file);
  }
  // The real location comes first: a name relative to it is the most likely to be used.
  std::vector<std::string> images;
  for (const std::string& path : image_paths) {
    BLOCKPULL_TRY(real, real_path(path));
    images.push_back(std::move(real));
  }
  images.insert(images.end(), image_paths.begin(), image_paths.end());
  std::vector<std::string> names;
  for (const std::string& path : images) {
    BLOCKPULL_TRY(folder, real_folder(path));
    const std::string name = text(way_between(folder, target_folder), file);
    names.push_back(has_protocol(name) ? text("./", name) : name);
  }
  if (!stated.empty()) {
    names.push_back(stated.back());
  }
  const auto from_everywhere = [&images, target](const std::string& name) {
    return std::all_of(images.begin(), images.end(), [&name, target](const std::string& path) {
      return io::leads_to(text(io::folder_part(path), name), target);
    });
  };
  const auto found = std::find_if(names.begin(), names.end(), from_everywhere);
  return found == names.end() ? inside(target_folder, file) : *found;
}

Result<void> check_folder_policy(const std::string& path, const std::vector<std::string>& folders) {
  BLOCKPULL_TRY(real, real_path(path));
  for (const std::string& folder : folders) {
    BLOCKPULL_TRY(real_folder_path, real_path(folder));
    if (is_inside(real, real_folder_path)) {
      return {};
    }
  }
  return make_error(ErrorKind::kPolicy,
                    text("backing file '", path, "' lies in none of the ", folders.size(),
                         " folders that backing files may lie in; allow its folder first"))
      .with_path(path);
}

}  // namespace blockpull::image
