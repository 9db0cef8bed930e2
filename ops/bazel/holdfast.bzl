"""Thin macros around the native rules: our own code is compiled with warnings as errors."""

_WARNINGS = ["-Wall", "-Wextra", "-Werror"]

def holdfast_cc_library(name, copts = [], **kwargs):
    native.cc_library(name = name, copts = _WARNINGS + copts, **kwargs)

def holdfast_cc_binary(name, copts = [], **kwargs):
    native.cc_binary(name = name, copts = _WARNINGS + copts, **kwargs)

def holdfast_cc_test(name, copts = [], deps = [], size = "small", **kwargs):
    """A GoogleTest binary with gtest's own main."""
    native.cc_test(
        name = name,
        size = size,
        copts = _WARNINGS + copts,
        deps = deps + ["//ops/bazel:gtest_main"],
        **kwargs
    )

def holdfast_cc_fuzzer(name, corpus, copts = [], deps = [], **kwargs):
    """A libFuzzer target, and NAME_run, the test that runs it for a while (--config=fuzz).

    `corpus` is a glob of seeds, all in the folder corpus/NAME of the package.
    """
    native.cc_binary(
        name = name,
        copts = _WARNINGS + copts,
        linkopts = ["-fsanitize=fuzzer"],
        tags = ["fuzz", "manual"],
        testonly = True,
        deps = deps,
        **kwargs
    )
    native.sh_test(
        name = name + "_run",
        size = "medium",
        srcs = ["//ops/bazel:run_fuzzer.sh"],
        args = ["$(location :" + name + ")", native.package_name() + "/corpus/" + name],
        data = [":" + name] + corpus,
        tags = ["fuzz", "manual"],
    )
