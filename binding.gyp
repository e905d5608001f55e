# SPDX-License-Identifier: Apache-2.0
#
# The addon of a checkout: build/Release/blockpull.node. Everything else (the package, native tests, sanitizers) is
# CMake's, over the same list of files in native/sources.gypi; no source is named here.
#
# Third-party libraries are linked from their archives ('-l:name.a'), so that a binary needs only libc,
# libm, ld-linux and libgcc_s; libgcc_s stays shared because an unwinder must exist once in a process.
# Nothing but the addon's entry point is exported. 'nodelete': Node unloads an addon with the last environment
# that uses it, and what libstdc++ keeps for the whole process would be left behind each time. Warnings are not errors here; the dev
# preset of CMake makes them so.
{
  'includes': ['native/sources.gypi'],
  'targets': [
    {
      'target_name': 'blockpull',
      'sources': [
        '<@(core_sources)',
        '<@(job_sources)',
        '<@(driver_sources)',
        '<@(virt_sources)',
        '<@(napi_sources)',
      ],
      'include_dirs': ['native', "<!@(node -p \"require('node-addon-api').include\")"],
      'defines': [
        'NAPI_VERSION=9', 'NODE_ADDON_API_DISABLE_DEPRECATED', 'NAPI_DISABLE_CPP_EXCEPTIONS',
        "BLOCKPULL_VERSION=\"<!(node -p \"require('./package.json').version\")\"",
      ],
      'cflags!': ['-O3', '-fno-omit-frame-pointer'],
      'cflags': [
        '-O2', '-Wall', '-Wextra', '-fvisibility=hidden', '-ffunction-sections', '-fdata-sections',
        "<!@(pkg-config --cflags-only-I liburing libdeflate libzstd pugixml)",
      ],
      'cflags_cc': [
        '-std=c++20', '-fno-exceptions', '-fno-rtti', '-fno-gnu-unique', '-fvisibility-inlines-hidden',
      ],
      'ldflags': [
        '-Wl,--gc-sections', '-Wl,--exclude-libs,ALL', '-Wl,-Bsymbolic',
        '-Wl,--version-script=<(module_root_dir)/native/napi/addon.map',
        '-static-libstdc++', '-shared-libgcc', '-Wl,-z,nodelete',
        "<!@(pkg-config --libs-only-L liburing libdeflate libzstd pugixml json-c)",
      ],
      'libraries': ['-l:liburing.a', '-l:libdeflate.a', '-l:libzstd.a', '-l:libpugixml.a', '-l:libjson-c.a'],
    },
  ],
}
