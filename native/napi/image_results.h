// SPDX-License-Identifier: Apache-2.0
//
// The results of the calls on image files, as JavaScript objects; see results.h.
//
// Thread rule: the JavaScript thread.

#pragma once

#include <vector>

#include <napi.h>

#include "core/image/compare.h"
#include "core/image/digest.h"
#include "virt/calls/images.h"

namespace blockpull::napi {

[[nodiscard]] napi_value make_layers(napi_env env, const std::vector<image::LayerInfo>& layers);
[[nodiscard]] napi_value make_digest(napi_env env, const image::Digest& digest);
[[nodiscard]] napi_value make_comparison(napi_env env, const image::Comparison& comparison);
[[nodiscard]] napi_value make_check(napi_env env, const virt::ImageCheck& check);
[[nodiscard]] napi_value make_image_info(napi_env env, const image::ImageInfo& info);

}  // namespace blockpull::napi
