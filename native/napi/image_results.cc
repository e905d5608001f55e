// SPDX-License-Identifier: Apache-2.0

#include "napi/image_results.h"

#include "napi/record.h"
#include "napi/results.h"

namespace blockpull::napi {
namespace {

Record facts_record(napi_env env, const image::ImageFacts& facts) {
  Record record(env);
  record.file("path", "pathBytes", facts.path)
      .text("format", image::format_name(facts.format))
      .u64("virtualSize", facts.virtual_size)
      .u64("allocatedBytes", facts.allocated_bytes)
      .u64("fileSize", facts.file_size)
      .text_or_null("backingFile", facts.backing ? facts.backing->name : "")
      .text_or_null("backingFormat", facts.backing ? facts.backing->format : "")
      .text_or_null("inUseBy", facts.in_use_by);
  return record;
}

napi_value make_layer(napi_env env, const image::LayerInfo& layer) {
  return facts_record(env, layer)
      .u64("clusterSize", layer.cluster_size)
      .u64("visibleBytes", layer.visible_bytes)
      .u64("dataBytes", layer.data_bytes)
      .object();
}

napi_value make_finding(napi_env env, const image::qcow2::Finding& finding) {
  return Record(env)
      .text("severity", name_of(severity_of(finding.code)))
      .text("code", name_of(finding.code))
      .text("message", finding.message)
      .u64("offset", finding.offset)
      .object();
}

napi_value make_snapshot(napi_env env, const image::qcow2::Snapshot& snapshot) {
  Record record(env);
  record.text("id", snapshot.id)
      .text("name", snapshot.name)
      .number("seconds", snapshot.seconds)
      .u64("vmStateBytes", snapshot.vm_state_bytes);
  snapshot.disk_size ? record.u64("diskSize", *snapshot.disk_size) : record.null("diskSize");
  return record.object();
}

napi_value make_bitmap(napi_env env, const image::qcow2::Bitmap& bitmap) {
  return Record(env)
      .text("name", bitmap.name)
      .u64("granularity", bitmap.granularity)
      .boolean("inUse", (bitmap.flags & image::qcow2::bitmap_flag::kInUse) != 0)
      .boolean("recording", (bitmap.flags & image::qcow2::bitmap_flag::kAuto) != 0)
      .object();
}

napi_value make_qcow2_info(napi_env env, const image::Qcow2Info& info) {
  return Record(env)
      .number("version", info.version)
      .u64("clusterSize", info.cluster_size)
      .number("refcountBits", info.refcount_bits)
      .text("compression", info.compression)
      .texts("features", info.features)
      .text_or_null("encryption", info.encryption)
      .text_or_null("dataFile", info.data_file)
      .value("snapshots", make_array(env, info.snapshots, &make_snapshot))
      .value("bitmaps", make_array(env, info.bitmaps, &make_bitmap))
      .object();
}

}  // namespace

napi_value make_layers(napi_env env, const std::vector<image::LayerInfo>& layers) {
  return make_array(env, layers, &make_layer);
}

napi_value make_digest(napi_env env, const image::Digest& digest) {
  return Record(env).text("sha256", digest.sha256).u64("bytes", digest.bytes).object();
}

napi_value make_comparison(napi_env env, const image::Comparison& comparison) {
  Record record(env);
  comparison.first_difference ? record.u64("firstDifference", *comparison.first_difference)
                              : record.null("firstDifference");
  return record.u64("aSize", comparison.a_size).u64("bSize", comparison.b_size).object();
}

napi_value make_check(napi_env env, const virt::ImageCheck& check) {
  const image::qcow2::CheckReport& report = check.report;
  Record record(env);
  if (check.repaired) {
    const auto [errors, leaks] = *check.repaired;
    record.value("repaired", Record(env).u64("errors", errors).u64("leaks", leaks).object());
  } else {
    record.null("repaired");
  }
  return record.u64("errors", report.errors)
      .u64("leaks", report.leaks)
      .u64("notes", report.notes)
      .value("findings", make_array(env, report.findings, &make_finding))
      .u64("totalClusters", report.total_clusters)
      .u64("allocatedClusters", report.allocated_clusters)
      .u64("compressedClusters", report.compressed_clusters)
      .u64("clusterSize", report.cluster_size)
      .number("snapshots", report.snapshots)
      .number("bitmaps", report.bitmaps)
      .u64("imageEnd", report.image_end)
      .object();
}

napi_value make_image_info(napi_env env, const image::ImageInfo& info) {
  Record record = facts_record(env, info);
  info.qcow2 ? record.value("qcow2", make_qcow2_info(env, *info.qcow2)) : record.null("qcow2");
  return record.object();
}

}  // namespace blockpull::napi
