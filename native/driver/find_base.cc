// SPDX-License-Identifier: Apache-2.0

#include "driver/find_base.h"

#include "core/base/text.h"
#include "core/image/backing_name.h"

namespace blockpull::driver {
namespace {

struct Fit {
  std::size_t layer = 0;
  bool is_by_file = false;
};

bool leads_to(const std::string& path, const NamedLayer& layer) {
  return layer.file && io::leads_to(path, *layer.file);
}

std::optional<Fit> fit(const std::vector<NamedLayer>& layers, std::size_t index,
                       const std::string& name) {
  if (name.empty()) {
    return std::nullopt;
  }
  const NamedLayer& layer = layers[index];
  const auto beside = image::resolve_backing(layers[index - 1].path, name);
  if (leads_to(name, layer) || (beside.ok() && leads_to(*beside, layer))) {
    return Fit{index, true};
  }
  const bool is_its_name = layer.path == name || layer.node == name || layer.stated == name ||
                           (beside.ok() && *beside == layer.path);
  return is_its_name ? std::optional(Fit{index, false}) : std::nullopt;
}

std::string told(const std::vector<NamedLayer>& layers, const Fit& fit) {
  return text("layer ", fit.layer, " '", layers[fit.layer].path, "' by its ",
              fit.is_by_file ? "file" : "name");
}

}  // namespace

Result<std::size_t> find_base(const std::vector<NamedLayer>& layers, const BaseChoice& base) {
  if (base.index) {
    if (*base.index >= 1 && *base.index < layers.size()) {
      return *base.index;
    }
    return make_error(ErrorKind::kNoBase, text("could not find backing store index '", *base.index,
                                               "' in chain for '", layers.front().path, "'"));
  }
  std::optional<Fit> found;
  for (std::size_t i = 1; i < layers.size(); ++i) {
    const auto fits = fit(layers, i, base.name);
    if (!fits) {
      continue;
    }
    if (found) {
      return make_error(ErrorKind::kInvalidArgument,
                        text("base '", base.name, "' matches ", told(layers, *found), " and ",
                             told(layers, *fits), "; name the one you mean by its full path"));
    }
    found = fits;
    if (!base.is_exact) {
      break;
    }
  }
  if (found) {
    return found->layer;
  }
  return make_error(ErrorKind::kNoBase, text("could not find image '", base.name, "' beneath '",
                                             layers.front().path, "' in its chain"));
}

}  // namespace blockpull::driver
