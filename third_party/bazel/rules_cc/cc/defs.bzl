"""The C++ rules built into Bazel 4.2, under the names that @bazel_tools loads from rules_cc.

Debian's own bazel-rules-cc is newer than this Bazel understands.
"""

cc_library = native.cc_library
cc_binary = native.cc_binary
cc_test = native.cc_test
cc_import = native.cc_import
cc_toolchain = native.cc_toolchain
cc_toolchain_suite = native.cc_toolchain_suite
cc_proto_library = native.cc_proto_library
objc_library = native.objc_library
fdo_profile = native.fdo_profile
fdo_prefetch_hints = native.fdo_prefetch_hints

def cc_flags_supplier(**_kwargs):
    pass

def compiler_flag(**_kwargs):
    pass
